//! SOAP over HTTPS: one call at a time, with the session's cookie.
//!
//! The form of requests and answers is that of the vSphere Web Services API: namespace `urn:vim25`,
//! and a `SOAPAction` that names the version of the API that the client speaks.

use crate::error::{ApiError, Fault};
use crate::settings::Settings;
use crate::xml::Element;
use provider::{Outcome, ProviderError, Requests};
use reqwest::header::{CONTENT_TYPE, COOKIE, HeaderMap, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, StatusCode, Url};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// The oldest version of the API that has all properties which are asked for.
const SOAP_ACTION: &str = "urn:vim25/6.7";
const COOKIE_NAME: &str = "vmware_soap_session";
/// What the vCenter shows beside our sessions.
const USER_AGENT: &str = concat!("tributary/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How much of an answer that is not understood is shown.
const SHOWN_CHARS_MAX: usize = 120;

/// A connection to one vCenter.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    cookie: Option<String>,
    requests: Requests,
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// Its parameters as XML, `_this` first.
    pub parameters: String,
    /// How long it may take.
    pub timeout: Duration,
}

impl Client {
    /// Does not connect yet.
    ///
    /// # Errors
    /// [`ProviderError::Settings`], such as a CA file that can't be read.
    pub fn new(settings: &Settings) -> Result<Self, ProviderError> {
        // Fails when a provider is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(KEEPALIVE)
            // A redirected call would arrive as another one, without its body.
            .redirect(Policy::none());
        if let Some(file) = &settings.ca_file {
            builder = builder.tls_certs_only(authorities(file)?);
        }
        let http = builder.build().map_err(|error| {
            let reason = chassis::exit::chain(&error);
            ProviderError::Settings(format!("no TLS client can be made of spec.ca_file: {reason}"))
        })?;
        let requests = Requests::default();
        Ok(Self { http, url: settings.url.clone(), cookie: None, requests })
    }

    /// The same connection without a session, whose calls are counted.
    #[must_use]
    pub fn counting(&self, requests: Requests) -> Self {
        Self { cookie: None, requests, ..self.clone() }
    }

    /// Calls a method; the answer is its `...Response` element.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn call(&mut self, call: Call) -> Result<Element, ApiError> {
        let result = self.answer(call).await;
        let is_ok = result.is_ok();
        self.requests.ended(if is_ok { Outcome::Answered } else { Outcome::Failed });
        result
    }

    /// The URL, for messages.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    async fn answer(&mut self, call: Call) -> Result<Element, ApiError> {
        let mut request = self
            .http
            .post(self.url.clone())
            .timeout(call.timeout)
            .header(CONTENT_TYPE, "text/xml; charset=utf-8")
            .header("SOAPAction", SOAP_ACTION)
            .body(envelope(&call));
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status();
        if let Some(cookie) = session_cookie(response.headers()) {
            self.cookie = Some(cookie);
        }
        let bytes = response.bytes().await.map_err(|error| self.failed(error))?;
        let body = body(&bytes).map_err(|reason| self.foreign(status, &reason, &bytes))?;
        if body.name != "Fault" {
            return Ok(body);
        }
        let fault = Box::new(fault(&body));
        Err(ApiError::Fault { url: self.url(), call: call.method, fault })
    }

    fn failed(&self, error: reqwest::Error) -> ApiError {
        let error = error.without_url();
        let url = self.url();
        let Some(tls) = tls_error(&error) else {
            return ApiError::Unreachable { url, reason: chassis::exit::chain(&error) };
        };
        match tls {
            rustls::Error::InvalidCertificate(_) => {
                ApiError::Untrusted { url, reason: tls.to_string() }
            }
            _ => ApiError::Unreachable { url, reason: tls.to_string() },
        }
    }

    /// Whatever is in front of a vCenter that is starting answers with 5xx.
    fn foreign(&self, status: StatusCode, reason: &str, bytes: &[u8]) -> ApiError {
        let url = self.url();
        if status.is_server_error() {
            return ApiError::Unreachable { url, reason: format!("it answers {status}") };
        }
        let text = String::from_utf8_lossy(bytes);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown: String = line.chars().take(SHOWN_CHARS_MAX).collect();
        ApiError::Foreign { url, reason: format!("{status}, {reason}: {shown:?}") }
    }
}

/// Certificates of a PEM file.
fn authorities(file: &Path) -> Result<Vec<Certificate>, ProviderError> {
    let wrong = |reason: String| {
        let file = file.display();
        ProviderError::Settings(format!(
            "spec.ca_file {file}: {reason}; it must hold one or more certificates in PEM form"
        ))
    };
    let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if certificates.is_empty() => Err(wrong("no certificate".to_owned())),
        result => result.map_err(|error| wrong(chassis::exit::chain(&error))),
    }
}

fn envelope(call: &Call) -> String {
    let Call { method, parameters, .. } = call;
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<soapenv:Body><{method} xmlns="urn:vim25">{parameters}</{method}></soapenv:Body>
</soapenv:Envelope>"#
    )
}

/// The only element in the envelope's body.
fn body(bytes: &[u8]) -> Result<Element, String> {
    let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let mut envelope = Element::parse(text).map_err(|error| error.to_string())?;
    let body = envelope.children.iter_mut().find(|child| child.name == "Body");
    let content = body.and_then(|body| body.children.pop());
    content.filter(|_| envelope.name == "Envelope").ok_or_else(|| "no SOAP envelope".to_owned())
}

/// `detail` holds the data object of the fault; without it the SOAP layer itself has failed.
fn fault(fault: &Element) -> Fault {
    let message = fault.text_of("faultstring");
    match fault.child("detail").and_then(|detail| detail.children.first()) {
        Some(detail) => Fault::read(detail, message),
        None => Fault {
            kind: fault.text_of("faultcode").to_owned(),
            message: message.to_owned(),
            ..Fault::default()
        },
    }
}

fn session_cookie(headers: &HeaderMap) -> Option<String> {
    let mut cookies = headers.get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let cookie = cookies.find(|cookie| cookie.starts_with(COOKIE_NAME))?;
    Some(cookie.split(';').next().unwrap_or(cookie).to_owned())
}

/// The TLS error among the causes. An I/O error does not name what it wraps as its cause.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref() {
            return Some(tls);
        }
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_from_their_detail() {
        let text = r#"<E:Envelope xmlns:E="e"><E:Body><E:Fault>
            <faultcode>ServerFaultCode</faultcode>
            <faultstring>Permission to perform this operation was denied.</faultstring><detail>
            <NoPermissionFault xmlns="urn:vim25" xmlns:xsi="x" xsi:type="NoPermission">
            <object type="Folder">group-d1</object><privilegeId>System.View</privilegeId>
            </NoPermissionFault></detail></E:Fault></E:Body></E:Envelope>"#;
        let body = body(text.as_bytes()).unwrap();
        assert_eq!(
            fault(&body).to_string(),
            "NoPermission, privilege System.View on Folder group-d1 \
             (Permission to perform this operation was denied.)"
        );
    }

    #[test]
    fn a_page_of_a_web_server_is_no_answer() {
        assert_eq!(body(b"<html><Body><p/></Body></html>").unwrap_err(), "no SOAP envelope");
        assert!(body(b"<!doctype html><html><br></html>").unwrap_err().starts_with("not well-"));
    }

    #[test]
    fn the_cookie_is_kept_without_its_attributes() {
        let mut headers = HeaderMap::new();
        headers.append(SET_COOKIE, "other=1; Path=/".parse().unwrap());
        headers.append(SET_COOKIE, "vmware_soap_session=\"ab\"; Path=/; Secure".parse().unwrap());
        assert_eq!(session_cookie(&headers).unwrap(), "vmware_soap_session=\"ab\"");
    }
}
