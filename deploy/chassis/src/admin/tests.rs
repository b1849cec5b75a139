//! The admin port, asked over a plain socket.

use super::*;
use prometheus_client::metrics::counter::Counter;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

async fn ask(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

async fn address_in(file: &Path) -> String {
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..1000 {
        tick.tick().await;
        if let Ok(address) = std::fs::read_to_string(file) {
            return address.trim_end().to_owned();
        }
    }
    panic!("no address in {}", file.display());
}

#[tokio::test]
async fn probes_and_metrics_answer_on_a_free_port_until_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("address");
    let listen = "127.0.0.1:0".parse().unwrap();
    let settings = AdminSettings { listen, address_file: Some(file.clone()) };
    let (counter, mut registry) = (Counter::<u64>::default(), Registry::default());
    registry.register("tributary_tests", "Tests that ran", counter.clone());
    let (health, stop) = (Health::awaiting(&["kafka"]), CancellationToken::new());
    let mut tasks = JoinSet::new();
    let (shared, until) = (health.clone(), stop.clone());
    tasks.spawn(async move { serve(&settings, Arc::new(registry), shared, until).await });
    let address = address_in(&file).await;

    let unready = ask(&address, "/readyz").await;
    assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");
    assert!(unready.ends_with(r#"{"ok":false,"components":{"kafka":"starting"}}"#), "{unready}");
    health.ready("kafka", Ok(()));
    let ready = ask(&address, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(ready.ends_with(r#"{"ok":true,"components":{"kafka":"ok"}}"#), "{ready}");

    assert!(ask(&address, "/livez").await.starts_with("HTTP/1.1 200"));
    health.live("reader", Err("stuck".to_owned()));
    assert!(ask(&address, "/livez").await.starts_with("HTTP/1.1 503"));

    counter.inc();
    let metrics = ask(&address, "/metrics").await;
    assert!(metrics.contains("content-type: application/openmetrics-text"), "{metrics}");
    assert!(metrics.contains("tributary_tests_total 1\n# EOF\n"), "{metrics}");

    stop.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_a_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let settings = AdminSettings { listen, address_file: None };
    let error = serve(&settings, Arc::default(), Health::default(), CancellationToken::new()).await;
    let text = crate::exit::chain(&error.unwrap_err());
    assert!(text.starts_with(&format!("can't listen on {listen}; set admin.listen")), "{text}");
}
