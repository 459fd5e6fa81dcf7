//! Which certificate authorities servers are checked against, and the TLS configuration of the client.

use std::env;
use std::sync::{Arc, OnceLock};

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// A set of trusted certificate authorities; cheap to clone.
#[derive(Debug, Clone)]
pub struct TlsRoots(Arc<RootCertStore>);

/// Why TLS cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsSetupError {
    /// `SSL_CERT_FILE` or `SSL_CERT_DIR` is set, but no certificate authority was found there. Others are not
    /// used instead: whoever sets them may mean to trust those alone.
    #[error(
        "no certificate authority was read from where SSL_CERT_FILE or SSL_CERT_DIR points ({detail}); set them to PEM \
         files with certificates, or unset them to use those of the system"
    )]
    NoRoots {
        /// What went wrong.
        detail: String,
    },
    /// A certificate given as a root is not one.
    #[error("a root certificate cannot be used: {detail}; expected an X.509 certificate in DER form")]
    InvalidRoot {
        /// What is wrong with it.
        detail: String,
    },
    /// The TLS library refuses its own defaults.
    #[error("TLS cannot be set up: {detail}")]
    Configuration {
        /// What it says.
        detail: String,
    },
}

impl TlsRoots {
    /// The authorities that the system trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR` where these are
    /// set; where the system has none (a bare container), Mozilla's, built in. Read once for each process.
    ///
    /// # Errors
    /// [`TlsSetupError::NoRoots`] if one of the variables is set and leads to none.
    pub fn system() -> Result<Self, TlsSetupError> {
        static SYSTEM: OnceLock<Result<TlsRoots, TlsSetupError>> = OnceLock::new();
        SYSTEM.get_or_init(Self::read_system).clone()
    }

    fn read_system() -> Result<Self, TlsSetupError> {
        let found = rustls_native_certs::load_native_certs();
        let mut store = RootCertStore::empty();
        // System bundles often hold a few certificates too old to be parsed; the others still count.
        let (usable, unusable) = store.add_parsable_certificates(found.certs);
        if usable == 0 {
            if ["SSL_CERT_FILE", "SSL_CERT_DIR"].iter().any(|name| env::var_os(name).is_some()) {
                let detail = match found.errors.first() {
                    Some(error) => error.to_string(),
                    None => format!("{unusable} certificates there are not usable"),
                };
                return Err(TlsSetupError::NoRoots { detail });
            }
            store.roots = webpki_roots::TLS_SERVER_ROOTS.to_vec();
        }
        Ok(Self(Arc::new(store)))
    }

    /// Exactly these authorities, each an X.509 certificate in DER form.
    ///
    /// # Errors
    /// [`TlsSetupError::InvalidRoot`] for the first that is not a certificate.
    pub fn from_der(certificates: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, TlsSetupError> {
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            store
                .add(CertificateDer::from(certificate))
                .map_err(|error| TlsSetupError::InvalidRoot { detail: error.to_string() })?;
        }
        Ok(Self(Arc::new(store)))
    }

    /// A configuration of its own for each client: it holds the session tickets, which clients must not
    /// share, since one could tell from them where another has been.
    pub(super) fn client_config(&self) -> Result<ClientConfig, TlsSetupError> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsSetupError::Configuration { detail: error.to_string() })?
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_certificate_is_refused() {
        let error = TlsRoots::from_der([b"not a certificate".to_vec()]).expect_err("no certificate");
        assert!(matches!(error, TlsSetupError::InvalidRoot { .. }), "{error}");
    }

    #[test]
    fn client_offers_both_versions_of_http() {
        let config = TlsRoots::from_der([]).and_then(|roots| roots.client_config()).expect("a configuration");
        assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
    }
}
