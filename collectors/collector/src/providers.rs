//! The one table of providers: a new one is one new line here.

use chassis::Fields;
use provider::{Provider, ProviderError};
use provider_vsphere::Vsphere;

/// Makes a provider of settings that are already read.
pub type Open = Box<dyn FnOnce() -> Result<Box<dyn Provider>, ProviderError>>;

/// Reads the `spec` of a manifest.
type Read = fn(&mut Fields) -> Option<Open>;

const PROVIDERS: &[(&str, Read)] =
    &[("vsphere", |spec| open(provider_vsphere::Settings::read(spec)?, Vsphere::open))];

fn open<S: 'static, P: Provider + 'static>(
    settings: S,
    open: fn(&S) -> Result<P, ProviderError>,
) -> Option<Open> {
    Some(Box::new(move || Ok(Box::new(open(&settings)?))))
}

/// Reads the settings of `spec.kind`. All mistakes are told to `manifest`.
pub fn read(manifest: &mut Fields) -> Option<Open> {
    let mut spec = manifest.section("spec");
    let kind: String = spec.required("kind")?;
    if let Some((_, read)) = PROVIDERS.iter().find(|(name, _)| *name == kind) {
        return read(&mut spec);
    }
    let known: Vec<&str> = PROVIDERS.iter().map(|(name, _)| *name).collect();
    let known = known.join(", ");
    spec.mistake("kind", format!("unknown kind {kind:?}; the known ones are: {known}"));
    // The rest can't be judged, so nothing is said about it.
    manifest.optional::<serde_json::Value>("spec");
    None
}
