//! What can go wrong between this program and a vCenter, and what to do about it.

use crate::xml::Element;
use provider::{Closed, ProviderError};
use std::fmt;

/// A failure of the API. Every message names the vCenter.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Nobody answers there, or the answer broke off.
    #[error("can't reach vCenter {url}: {reason}; check spec.url and the network")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        reason: String,
    },
    /// The certificate is not signed by who is trusted.
    #[error(
        "vCenter {url} shows a certificate that is not trusted: {reason}; set spec.ca_file to the \
         certificate, in PEM form, of who signed it (vCenter offers it in /certs/download.zip)"
    )]
    Untrusted {
        /// Where.
        url: String,
        /// What is wrong with the certificate.
        reason: String,
    },
    /// Something answers there, but no vCenter.
    #[error("{url} does not answer as a vCenter does: {reason}; check spec.url")]
    Foreign {
        /// Where.
        url: String,
        /// What came back.
        reason: String,
    },
    /// User or password is wrong, or the account may not log in.
    #[error("vCenter {url} refuses user {user:?}: {reason}; check credentials_file {file}")]
    Login {
        /// Where.
        url: String,
        /// Who.
        user: String,
        /// The vCenter's own words.
        reason: String,
        /// Where user and password come from.
        file: String,
    },
    /// It answered with a fault.
    #[error("vCenter {url}: {call}: {fault}{}", fault.remedy())]
    Fault {
        /// Where.
        url: String,
        /// The method that was called.
        call: &'static str,
        /// The fault.
        fault: Box<Fault>,
    },
    /// It answered with what the API's reference does not say.
    #[error("vCenter {url}: {call}: the answer has no {missing}; is its version supported?")]
    Answer {
        /// Where.
        url: String,
        /// The method that was called.
        call: &'static str,
        /// What the answer lacks.
        missing: &'static str,
    },
    /// The engine has gone.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// A fault of the API, as of `MethodFault` in its reference.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// Its type, such as `NoPermission`.
    pub kind: String,
    /// The vCenter's own words; may be empty.
    pub message: String,
    /// The privilege that is lacking, of a `NoPermission`.
    pub privilege: String,
    /// The object that it is lacking on, such as `Folder group-d1`.
    pub object: String,
}

impl Fault {
    /// Reads a data object of a subtype of `MethodFault`.
    #[must_use]
    pub fn read(fault: &Element, message: &str) -> Self {
        let named = || fault.name.trim_end_matches("Fault").to_owned();
        let object = fault.child("object").map(|object| {
            let kind = object.of.as_deref().unwrap_or("object");
            format!("{kind} {}", object.text)
        });
        Self {
            kind: fault.holds.clone().unwrap_or_else(named),
            message: message.to_owned(),
            privilege: fault.text_of("privilegeId").to_owned(),
            object: object.unwrap_or_default(),
        }
    }

    fn remedy(&self) -> &'static str {
        match self.kind.as_str() {
            "NoPermission" => {
                "; grant the account the role Read-only on the root folder, propagated to its \
                 children"
            }
            "NotAuthenticated" => "; the session has ended, a new one is needed",
            _ => "",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if !self.privilege.is_empty() {
            write!(f, ", privilege {} on {}", self.privilege, self.object)?;
        }
        if self.message.is_empty() { Ok(()) } else { write!(f, " ({})", self.message.trim()) }
    }
}

impl ApiError {
    /// Whether it is a fault of this kind.
    #[must_use]
    pub fn is_fault(&self, kind: &str) -> bool {
        matches!(self, Self::Fault { fault, .. } if fault.kind == kind)
    }
}

impl From<ApiError> for ProviderError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Closed(closed) => Self::Closed(closed),
            ApiError::Login { .. } => Self::Refused(error.to_string()),
            ApiError::Fault { .. } if error.is_fault("NoPermission") => {
                Self::Refused(error.to_string())
            }
            ApiError::Foreign { .. } | ApiError::Answer { .. } => Self::Protocol(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}
