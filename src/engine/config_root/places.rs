//! Whether the regions, addresses and partitions of a configuration can fit each other.

use super::fields;
use crate::aws::{Arn, AwsAddress, Endpoint, Partition};
use crate::engine::clients::root_config::RootConfig;
use crate::framework::FieldData;

/// Warnings of what AWS would refuse because of where it is asked, if the write is about that.
pub(super) fn warnings(config: &RootConfig, data: &FieldData) -> Vec<String> {
    let texts = [
        &fields::REGION,
        &fields::STS_REGION,
        &fields::IAM_ENDPOINT,
        &fields::STS_ENDPOINT,
        &fields::ROLE_ARN,
    ];
    let lists = [
        &fields::STS_FALLBACK_ENDPOINTS,
        &fields::STS_FALLBACK_REGIONS,
    ];
    let sent = texts.iter().any(|field| data.sent(field).is_some())
        || lists.iter().any(|field| data.sent(field).is_some());
    if !sent {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    regions(config, &mut warnings);
    addresses(config, &mut warnings);
    if !warnings.is_empty() {
        warnings.push(asked(config));
    }
    warnings
}

/// Regions that are in no partition, or in two.
fn regions(config: &RootConfig, warnings: &mut Vec<String>) {
    let of = |region: &str| Partition::of_region(region);
    for (field, region, has_address) in [
        (
            "region",
            &config.region,
            !config.iam_endpoint.is_empty() || !config.sts_endpoint.is_empty(),
        ),
        (
            "sts_region",
            &config.sts_region,
            !config.sts_endpoint.is_empty(),
        ),
    ] {
        if !region.is_empty() && !has_address && of(region).is_none() {
            warnings.push(format!(
                "{field} {region} is none of AWS's, and no endpoint says where it is"
            ));
        }
    }
    if let (Some(one), Some(other)) = (of(&config.region), of(&config.sts_region))
        && one != other
    {
        warnings.push(format!(
            "region {} is of the partition {} and sts_region {} of {}: no credentials work in both",
            config.region,
            one.name(),
            config.sts_region,
            other.name()
        ));
    }
    if let (Some(region), Ok(role)) = (of(&config.region), Arn::new(&*config.role_arn))
        && role.partition() != region.name()
    {
        warnings.push(format!(
            "role_arn is of the partition {} and region {} of {}",
            role.partition(),
            config.region,
            region.name()
        ));
    }
}

/// Addresses of AWS that are another service's, another partition's or another region's.
fn addresses(config: &RootConfig, warnings: &mut Vec<String>) {
    let endpoints = config.sts_fallback_endpoints.as_deref().unwrap_or_default();
    let regions = config.sts_fallback_regions.as_deref().unwrap_or_default();
    let fallbacks = endpoints
        .iter()
        .zip(regions)
        .map(|(endpoint, region)| ("sts_fallback_endpoints", "sts", endpoint, region.as_str()));
    let of_config = [
        ("iam_endpoint", "iam", &config.iam_endpoint, ""),
        (
            "sts_endpoint",
            "sts",
            &config.sts_endpoint,
            &*config.sts_region,
        ),
    ];
    for (field, service, endpoint, signed_for) in of_config.into_iter().chain(fallbacks) {
        let Some(address) = Endpoint::new(endpoint.trim())
            .ok()
            .and_then(|endpoint| AwsAddress::of(&endpoint))
        else {
            continue;
        };
        if let Some(other) = address.service.filter(|of| *of != service) {
            warnings.push(format!(
                "{field} {endpoint} is an address of {other}, not of {service}"
            ));
        }
        if signed_for.is_empty() {
            if let Some(region) = Partition::of_region(&config.region)
                && region != address.partition
            {
                warnings.push(format!(
                    "{field} {endpoint} is of the partition {} and region {} of {}",
                    address.partition.name(),
                    config.region,
                    region.name()
                ));
            }
        } else if signed_for != address.signing_region() {
            warnings.push(format!(
                "{field} {endpoint} takes requests that are signed for {}, and they are signed for {signed_for}",
                address.signing_region()
            ));
        }
    }
}

/// Where the services are asked.
fn asked(config: &RootConfig) -> String {
    let or = |endpoint: &str, aws: &dyn Fn(&str) -> String, region: &str| match (endpoint, region) {
        ("", "") => "AWS's own address for the region of the environment".to_owned(),
        ("", region) => aws(region),
        (endpoint, _) => endpoint.to_owned(),
    };
    let sts_region = if config.sts_region.is_empty() {
        &config.region
    } else {
        &config.sts_region
    };
    format!(
        "with this configuration IAM is asked at {}, and STS at {}",
        or(
            &config.iam_endpoint,
            &Partition::iam_address,
            &config.region
        ),
        or(&config.sts_endpoint, &Partition::sts_address, sts_region)
    )
}
