//! The TLS trust anchors for connections to AWS.
//!
//! The platform's trust anchors would work, but reading and parsing about 150 of them takes most of the time
//! before a function's first event (docs/performance.md). AWS's endpoints need only five:
//! <https://www.amazontrust.com/repository/>, and
//! <https://aws.amazon.com/blogs/security/how-to-prepare-for-aws-move-to-its-own-certificate-authority/>. The
//! files come from Mozilla's list, by way of Debian's package ca-certificates.

use aws_smithy_http_client::tls::TrustStore;

/// The root certificates of Amazon Trust Services, each with its common name.
const AMAZON: [(&str, &str); 5] = [
    ("Amazon Root CA 1", include_str!("../../roots/Amazon_Root_CA_1.pem")),
    ("Amazon Root CA 2", include_str!("../../roots/Amazon_Root_CA_2.pem")),
    ("Amazon Root CA 3", include_str!("../../roots/Amazon_Root_CA_3.pem")),
    ("Amazon Root CA 4", include_str!("../../roots/Amazon_Root_CA_4.pem")),
    (
        "Starfield Services Root Certificate Authority - G2",
        include_str!("../../roots/Starfield_Services_Root_Certificate_Authority_-_G2.pem"),
    ),
];

/// The trust anchors for AWS's endpoints in `region`. Endpoints in public regions use Amazon Trust Services. China,
/// the sovereign and the isolated partitions may use others, so there the platform's trust anchors apply. They also
/// apply if the operator names a file with them, because Amazon has changed its own: the platform's default reads
/// `SSL_CERT_FILE`.
pub(super) fn of_aws(region: &str, ssl_cert_file: Option<&str>) -> TrustStore {
    if ssl_cert_file.is_some() || !is_public(region) {
        return TrustStore::default();
    }
    AMAZON.iter().fold(TrustStore::empty(), |store, (_, pem)| store.with_pem_certificate(*pem))
}

/// Whether a region belongs to the partition `aws`. Its regions have names of three parts, such as `eu-central-1`.
/// Regions of other partitions have four (`us-gov-west-1`, `eusc-de-east-1`, `us-iso-east-1`), except in China.
fn is_public(region: &str) -> bool {
    region.split('-').count() == 3 && !region.starts_with("cn-")
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    /// Enough time to notice, and to deploy another version.
    const YEARS_LEFT_MIN: u16 = 3;

    /// The year of the second `UTCTime` of a certificate, which is when it expires (RFC 5280, 4.1.2.5).
    /// `UTCTime` ends in 2049.
    fn expiry_year(certificate: &[u8]) -> u16 {
        let mut times =
            certificate.windows(15).filter(|bytes| bytes.starts_with(&[0x17, 13]) && bytes[14] == b'Z');
        let not_after = times.nth(1).unwrap();
        2000 + std::str::from_utf8(&not_after[2..4]).unwrap().parse::<u16>().unwrap()
    }

    #[test]
    fn roots_match_their_names_and_are_valid_for_years() {
        let this_year: u16 = crate::clock::Clock::System.now().to_string()[..4].parse().unwrap();
        for (name, pem) in AMAZON {
            let [certificate] = &CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Vec<_>>()[..]
            else {
                panic!("{name}: one certificate")
            };
            let certificate = certificate.as_ref().unwrap();
            let mut store = RootCertStore::empty();
            store.add(certificate.clone()).unwrap();
            let subject = store.roots[0].subject.as_ref();
            assert!(subject.ends_with(name.as_bytes()), "{name}: the common name is the last of a subject");
            assert!(expiry_year(certificate) >= this_year + YEARS_LEFT_MIN, "{name} expires");
        }
    }

    #[test]
    fn a_file_of_the_operator_replaces_the_roots_of_amazon() {
        let platform = format!("{:?}", TrustStore::default());
        assert_eq!(format!("{:?}", of_aws("us-east-1", Some("/etc/ca.crt"))), platform);
        assert_ne!(format!("{:?}", of_aws("us-east-1", None)), platform);
    }

    #[test]
    fn only_public_regions_use_the_roots_of_amazon() {
        for region in ["us-east-1", "eu-central-1", "ap-southeast-7", "il-central-1", "mx-central-1"] {
            assert!(is_public(region), "{region}");
        }
        for region in
            ["cn-north-1", "cn-northwest-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1", "local", ""]
        {
            assert!(!is_public(region), "{region}");
        }
    }
}
