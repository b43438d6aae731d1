//! The embedded AWS services over TLS on a local port, with the handshake that a function needs on AWS.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use badgesmith_aws::clock::Clock;
use badgesmith_aws::dynamodb::{Registrations, Results};
use badgesmith_domain::derived_key::{KeyId, MasterKey};
use badgesmith_domain::registration::{ActiveRegistration, Registration};
use badgesmith_domain::test_result::TestResult;
use bytes::Bytes;
use embedded_aws::template::Template;
use embedded_aws::{Aws, Storage};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use local::stack::{MASTER_KEY, SECRETS_TABLE, TEST_RESULTS_TABLE};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::client::REPOSITORY;

/// The header that names the operation of a request.
const TARGET: &str = "x-amz-target";

const MASTER_KEY_VALUE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const KEY_ID: KeyId = KeyId::new([7; 16]);

/// The key of [`REPOSITORY`] in [`aws_with`].
pub fn derived_key() -> String {
    let master = MasterKey::new(MASTER_KEY_VALUE).expect("a master key");
    let repository = REPOSITORY.parse().expect("a repository");
    master.derive(&repository, KEY_ID).as_str().to_owned()
}

/// Services in memory that hold the key of [`REPOSITORY`] and these results.
pub async fn aws_with(results: &[TestResult]) -> Aws {
    let template = Template::load().expect("the template");
    let aws = Aws::open(&Storage::Memory, &template, &Clock::System).expect("the services");
    aws.secrets().put(MASTER_KEY, MASTER_KEY_VALUE).expect("to be stored");
    let repository = REPOSITORY.parse().expect("a repository");
    // A benchmark posts as fast as it can.
    let registration = ActiveRegistration {
        posts_per_minute: NonZeroU32::MAX,
        ..ActiveRegistration::with_derived_key(KEY_ID, Clock::System.now())
    };
    let registrations = Registrations::new(&aws.sdk_config(), SECRETS_TABLE.to_owned());
    let put = registrations.put(&repository, &Registration::Active(registration), None).await;
    assert!(put.expect("to be stored"), "a new registration");
    let table = Results::new(&aws.sdk_config(), TEST_RESULTS_TABLE.to_owned());
    assert!(table.put_all(results).await.is_empty(), "a result was not stored");
    aws
}

/// A running endpoint. It ends with its runtime.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    certificates: Certificates,
    connections: Arc<AtomicUsize>,
}

impl Endpoint {
    /// Listens on a free port and passes requests to `connector`. A function trusts the endpoint's certificate
    /// and those in `other_roots`, PEM files that cost only the time to read them.
    pub async fn start(connector: impl HttpConnector + 'static, other_roots: &[&Path]) -> Self {
        let certificates = Certificates::make(other_roots).expect("certificates");
        let acceptor = TlsAcceptor::from(Arc::new(certificates.server_config()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let connector = SharedHttpConnector::new(connector);
        let connections = Arc::new(AtomicUsize::new(0));
        let opened = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                opened.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    stream.set_nodelay(true).ok();
                    // A client that does not trust the certificate reports it.
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| answer(connector.clone(), request));
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        Self { address, certificates, connections }
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// The variables that direct a function here. The host is a name, which needs a DNS look-up as on AWS.
    pub fn environment(&self) -> [(String, String); 2] {
        [
            ("AWS_ENDPOINT_URL".to_owned(), format!("https://localhost:{}", self.address.port())),
            ("SSL_CERT_FILE".to_owned(), self.certificates.trusted.to_str().expect("a path").to_owned()),
        ]
    }
}

async fn answer(
    connector: SharedHttpConnector,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut request = HttpRequest::new(body.into());
    if let Some(target) = head.headers.get(TARGET).and_then(|target| target.to_str().ok()) {
        request.headers_mut().insert(TARGET, target.to_owned());
    }
    let response = connector.call(request).await.map_err(io::Error::other)?;
    let body = Bytes::copy_from_slice(response.body().bytes().unwrap_or_default());
    Response::builder()
        .status(response.status().as_u16())
        .header("content-type", "application/x-amz-json-1.0")
        .body(Full::new(body))
        .map_err(io::Error::other)
}

/// A certificate with an RSA key of 2048 bits, as AWS's endpoints have, and the authority that signed it.
#[derive(Debug)]
struct Certificates {
    folder: TempDir,
    /// A PEM file with all trusted roots.
    trusted: PathBuf,
}

impl Certificates {
    fn make(other_roots: &[&Path]) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        openssl(folder.path(), &["-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem"])?;
        openssl(
            folder.path(),
            &[
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-subj",
                "/CN=localhost",
                "-addext",
                "subjectAltName=DNS:localhost",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-keyout",
                "server.key",
                "-out",
                "server.pem",
            ],
        )?;
        let mut roots = fs::read(folder.path().join("ca.pem"))?;
        for file in other_roots {
            roots.extend(fs::read(file)?);
        }
        let trusted = folder.path().join("trusted.pem");
        fs::write(&trusted, roots)?;
        Ok(Self { folder, trusted })
    }

    fn server_config(&self) -> ServerConfig {
        let file = |name| self.folder.path().join(name);
        let certificate = CertificateDer::from_pem_file(file("server.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(file("server.key")).expect("a key");
        ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a key that fits the certificate")
    }
}

fn openssl(folder: &Path, arguments: &[&str]) -> io::Result<()> {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]).args(arguments);
    let output = command.current_dir(folder).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("openssl: {}", String::from_utf8_lossy(&output.stderr))))
}
