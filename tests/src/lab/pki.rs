//! Certificates, keys and kubeconfigs: one identity per component, as a real cluster has them.
//!
//! All certificates are of X.509 version 3: rustls accepts no other.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::ByteString;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;

/// A certificate and its key, PEM.
pub(super) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// The authority that signs everything in one lab.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(super) fn new(lab: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("lab {lab}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate()?).context("signing the lab's authority")?;
        Ok(Self { issuer })
    }

    pub(super) fn certificate(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A certificate for a server reached under these names and addresses.
    pub(super) fn server(&self, name: &str, reached_as: Vec<String>) -> Result<Identity> {
        let mut params = CertificateParams::new(reached_as)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(name, None, params)
    }

    /// A certificate for a client: the API server takes `user` and `group` from it.
    pub(super) fn client(&self, user: &str, group: Option<&str>) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(user, group, params)
    }

    fn sign(&self, name: &str, group: Option<&str>, mut params: CertificateParams) -> Result<Identity> {
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate =
            params.signed_by(&key, &self.issuer).with_context(|| format!("signing the certificate of {name}"))?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// A kubeconfig with everything in it, for a client that reaches the API server at `server`.
    pub(super) fn kubeconfig(&self, lab: &str, server: &str, identity: &Identity) -> Result<Vec<u8>> {
        let data = |pem: &str| ByteString(pem.as_bytes().to_vec());
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": lab,
            "clusters": [{"name": lab, "cluster": {
                "server": server,
                "certificate-authority-data": data(&self.certificate()),
            }}],
            "users": [{"name": lab, "user": {
                "client-certificate-data": data(&identity.certificate),
                "client-key-data": data(&identity.key),
            }}],
            "contexts": [{"name": lab, "context": {"cluster": lab, "user": lab}}],
        });
        Ok(serde_json::to_vec_pretty(&config)?)
    }
}

/// The key that signs service account tokens, and its public half.
pub(super) fn token_keys() -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

/// A directory for secrets.
pub(super) struct Vault {
    directory: PathBuf,
}

impl Vault {
    pub(super) fn create(directory: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Writes a file only root can read.
    pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        use std::io::Write as _;
        let path = self.directory.join(name);
        let mut file = fs::File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("writing {}", path.display()))?;
        file.write_all(content.as_ref()).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }

    pub(super) fn put_identity(&self, name: &str, identity: &Identity) -> Result<()> {
        self.put(&format!("{name}.crt"), &identity.certificate)?;
        self.put(&format!("{name}.key"), &identity.key)?;
        Ok(())
    }
}
