//! AWS's partitions: which regions, addresses and ARNs belong together.

use super::Endpoint;

/// A part of AWS with accounts, regions and addresses of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    name: &'static str,
    /// What the codes of its regions begin with.
    regions: &'static [&'static str],
    /// The end of its host names.
    suffix: &'static str,
    /// The host of IAM.
    iam: &'static str,
    /// The region for which requests to IAM are signed.
    iam_region: &'static str,
}

/// The first is AWS itself; its prefixes are looked at last, because others begin like them.
const PARTITIONS: &[Partition] = &[
    Partition {
        name: "aws",
        regions: &[
            "us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-",
        ],
        suffix: "amazonaws.com",
        iam: "iam.amazonaws.com",
        iam_region: "us-east-1",
    },
    Partition {
        name: "aws-cn",
        regions: &["cn-"],
        suffix: "amazonaws.com.cn",
        iam: "iam.cn-north-1.amazonaws.com.cn",
        iam_region: "cn-north-1",
    },
    Partition {
        name: "aws-us-gov",
        regions: &["us-gov-"],
        suffix: "amazonaws.com",
        iam: "iam.us-gov.amazonaws.com",
        iam_region: "us-gov-west-1",
    },
    Partition {
        name: "aws-eusc",
        regions: &["eusc-"],
        suffix: "amazonaws.eu",
        iam: "iam.eusc-de-east-1.amazonaws.eu",
        iam_region: "eusc-de-east-1",
    },
    Partition {
        name: "aws-iso",
        regions: &["us-iso-"],
        suffix: "c2s.ic.gov",
        iam: "iam.us-iso-east-1.c2s.ic.gov",
        iam_region: "us-iso-east-1",
    },
    Partition {
        name: "aws-iso-b",
        regions: &["us-isob-"],
        suffix: "sc2s.sgov.gov",
        iam: "iam.us-isob-east-1.sc2s.sgov.gov",
        iam_region: "us-isob-east-1",
    },
    Partition {
        name: "aws-iso-e",
        regions: &["eu-isoe-"],
        suffix: "cloud.adc-e.uk",
        iam: "iam.eu-isoe-west-1.cloud.adc-e.uk",
        iam_region: "eu-isoe-west-1",
    },
    Partition {
        name: "aws-iso-f",
        regions: &["us-isof-"],
        suffix: "csp.hci.ic.gov",
        iam: "iam.us-isof-south-1.csp.hci.ic.gov",
        iam_region: "us-isof-south-1",
    },
];

/// Ends of host names with IPv6, of any partition.
const DUAL_STACK: &str = "api.aws";

impl Partition {
    /// The partition of a region; `None` for a code that is none of AWS's.
    pub fn of_region(code: &str) -> Option<&'static Self> {
        let number = code.rsplit('-').next().unwrap_or_default();
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        PARTITIONS
            .iter()
            .rev()
            .find(|of| of.regions.iter().any(|prefix| code.starts_with(prefix)))
    }

    /// `aws`, `aws-cn`, …, as in ARNs.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where IAM is asked without an endpoint of one's own, in a region of any partition or none.
    pub fn iam_address(region: &str) -> String {
        let of = Self::of_region(region).unwrap_or(&PARTITIONS[0]);
        format!("https://{}", of.iam)
    }

    /// Where STS is asked, likewise.
    pub fn sts_address(region: &str) -> String {
        let of = Self::of_region(region).unwrap_or(&PARTITIONS[0]);
        format!("https://sts.{region}.{}", of.suffix)
    }
}

/// What an address of AWS tells of itself.
#[derive(Debug, PartialEq, Eq)]
pub struct AwsAddress {
    /// Where it is.
    pub partition: &'static Partition,
    /// The region in its name; services that are one for a partition have none.
    pub region: Option<String>,
    /// `iam` or `sts`, if it is one of these.
    pub service: Option<&'static str>,
}

impl AwsAddress {
    /// `None` for an address that is not AWS's.
    pub fn of(endpoint: &Endpoint) -> Option<Self> {
        let host = endpoint.host().to_ascii_lowercase();
        let suffix = PARTITIONS
            .iter()
            .map(|partition| partition.suffix)
            .chain([DUAL_STACK])
            .find(|suffix| host.ends_with(&format!(".{suffix}")))?;
        let labels: Vec<&str> = host
            .strip_suffix(suffix)
            .unwrap_or_default()
            .trim_end_matches('.')
            .split('.')
            .collect();
        let region = labels
            .iter()
            .find(|label| Partition::of_region(label).is_some());
        let partition = match region {
            Some(region) => Partition::of_region(region)?,
            None if labels.contains(&"us-gov") => Partition::of_region("us-gov-west-1")?,
            None => PARTITIONS
                .iter()
                .find(|partition| partition.suffix == suffix)
                .unwrap_or(&PARTITIONS[0]),
        };
        let service = ["iam", "sts"].into_iter().find(|service| {
            labels
                .iter()
                .any(|label| label == service || label.strip_suffix("-fips") == Some(service))
        });
        Some(Self {
            partition,
            region: region.map(|region| (*region).to_owned()),
            service,
        })
    }

    /// The region for which it takes signatures.
    pub fn signing_region(&self) -> &str {
        self.region.as_deref().unwrap_or(self.partition.iam_region)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(region: &str) -> Option<&'static str> {
        Partition::of_region(region).map(Partition::name)
    }

    #[test]
    fn a_region_tells_its_partition() {
        for (region, partition) in [
            ("us-east-1", "aws"),
            ("mx-central-1", "aws"),
            ("us-gov-west-1", "aws-us-gov"),
            ("cn-northwest-1", "aws-cn"),
            ("eusc-de-east-1", "aws-eusc"),
            ("us-iso-west-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-east-1", "aws-iso-f"),
        ] {
            assert_eq!(name(region), Some(partition), "{region}");
        }
        for region in [
            "",
            "default",
            "my-house-1",
            "us-east",
            "US-EAST-1",
            "garage",
        ] {
            assert_eq!(name(region), None, "{region}");
        }
    }

    #[test]
    fn an_address_tells_partition_region_and_service() {
        for (address, partition, region, service) in [
            ("iam.amazonaws.com", "aws", None, "iam"),
            ("https://sts.amazonaws.com/", "aws", None, "sts"),
            (
                "sts.eu-west-1.amazonaws.com",
                "aws",
                Some("eu-west-1"),
                "sts",
            ),
            (
                "sts-fips.us-east-1.amazonaws.com",
                "aws",
                Some("us-east-1"),
                "sts",
            ),
            ("sts.us-east-1.api.aws", "aws", Some("us-east-1"), "sts"),
            ("iam.us-gov.amazonaws.com", "aws-us-gov", None, "iam"),
            (
                "https://vpce-1a.sts.us-gov-east-1.vpce.amazonaws.com:443",
                "aws-us-gov",
                Some("us-gov-east-1"),
                "sts",
            ),
            (
                "iam.cn-north-1.amazonaws.com.cn",
                "aws-cn",
                Some("cn-north-1"),
                "iam",
            ),
            (
                "sts.eusc-de-east-1.amazonaws.eu",
                "aws-eusc",
                Some("eusc-de-east-1"),
                "sts",
            ),
        ] {
            let of = AwsAddress::of(&Endpoint::new(address).unwrap()).unwrap();
            assert_eq!(of.partition.name(), partition, "{address}");
            assert_eq!(of.region.as_deref(), region, "{address}");
            assert_eq!(of.service, Some(service), "{address}");
        }
        for address in [
            "http://localhost:4566",
            "minio.example.com",
            "amazonaws.com.example.com",
            "http://[::1]:9000",
        ] {
            assert_eq!(AwsAddress::of(&Endpoint::new(address).unwrap()), None);
        }
    }

    #[test]
    fn addresses_are_those_of_the_partition() {
        assert_eq!(
            Partition::iam_address("eu-west-1"),
            "https://iam.amazonaws.com"
        );
        assert_eq!(
            Partition::iam_address("us-gov-east-1"),
            "https://iam.us-gov.amazonaws.com"
        );
        assert_eq!(
            Partition::sts_address("cn-north-1"),
            "https://sts.cn-north-1.amazonaws.com.cn"
        );
    }
}
