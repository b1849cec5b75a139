package bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.Date;
import java.util.HashMap;
import java.util.Map;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.storage.Converter;

/**
 * Decodes the benchmark's records for Kafka Connect: Confluent's frame, then a flat record whose
 * fields are plain or nullable. It stands in for the registries' own converters, whose parts are
 * not all in Maven's central repository, and makes no generic record on the way, so it costs the
 * peer less than they do.
 */
public final class FlatAvroConverter implements Converter {
    private record Known(org.apache.avro.Schema avro, Schema connect) {}

    private final Map<Integer, Known> known = new HashMap<>();
    private BinaryDecoder decoder;
    private String registry;

    @Override
    public void configure(Map<String, ?> settings, boolean isKey) {
        registry = String.valueOf(settings.get("registry.url"));
    }

    @Override
    public byte[] fromConnectData(String topic, Schema schema, Object value) {
        throw new DataException("this converter only reads");
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] bytes) {
        if (bytes == null || bytes.length < 5 || bytes[0] != 0) {
            throw new DataException("the record has no frame");
        }
        Known form = known.computeIfAbsent(ByteBuffer.wrap(bytes, 1, 4).getInt(), this::lookUp);
        decoder = DecoderFactory.get().binaryDecoder(bytes, 5, bytes.length - 5, decoder);
        try {
            Struct struct = new Struct(form.connect);
            for (Field field : form.connect.fields()) {
                struct.put(field, read(form.avro.getFields().get(field.index()).schema()));
            }
            return new SchemaAndValue(form.connect, struct);
        } catch (IOException broken) {
            throw new DataException(broken);
        }
    }

    private Object read(org.apache.avro.Schema avro) throws IOException {
        switch (avro.getType()) {
            case UNION: return read(avro.getTypes().get(decoder.readIndex()));
            case NULL: return null;
            case BOOLEAN: return decoder.readBoolean();
            case INT: return decoder.readInt();
            case LONG:
                long value = decoder.readLong();
                return avro.getLogicalType() == null ? (Object) value : new Date(value);
            case DOUBLE: return decoder.readDouble();
            case STRING: return decoder.readString();
            default: throw new DataException("a flat record has no " + avro.getType());
        }
    }

    private Known lookUp(int id) {
        try {
            HttpRequest question = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).build();
            String answer = HttpClient.newHttpClient().send(question, HttpResponse.BodyHandlers.ofString()).body();
            String json = new ObjectMapper().readTree(answer).get("schema").asText();
            org.apache.avro.Schema avro = new org.apache.avro.Schema.Parser().parse(json);
            SchemaBuilder record = SchemaBuilder.struct().name(avro.getFullName());
            avro.getFields().forEach(field -> record.field(field.name(), connect(field.schema())));
            return new Known(avro, record.build());
        } catch (IOException | InterruptedException unreachable) {
            throw new DataException(unreachable);
        }
    }

    private static Schema connect(org.apache.avro.Schema avro) {
        boolean optional = avro.getType() == org.apache.avro.Schema.Type.UNION;
        org.apache.avro.Schema plain = optional ? avro.getTypes().get(1) : avro;
        SchemaBuilder builder = switch (plain.getType()) {
            case BOOLEAN -> SchemaBuilder.bool();
            case INT -> SchemaBuilder.int32();
            case LONG -> plain.getLogicalType() == null ? SchemaBuilder.int64() : Timestamp.builder();
            case DOUBLE -> SchemaBuilder.float64();
            case STRING -> SchemaBuilder.string();
            default -> throw new DataException("a flat record has no " + plain.getType());
        };
        String name = plain.getProp("connect.name");
        if (name != null) {
            builder.name(name);
        }
        return optional ? builder.optional().build() : builder.build();
    }
}
