//! The variables that Vault and OpenBao themselves set, beside go-plugin's.

use tracing::level_filters::LevelFilter;

use crate::environment::Environment;

/// What the host says in its own variables. OpenBao sets each under two names.
#[derive(Clone, Copy, Debug)]
pub struct VaultEnv {
    /// `VAULT_PLUGIN_METADATA_MODE`, `BAO_PLUGIN_METADATA_MODE`: the host only wants to learn type
    /// and paths, as it did before protocol version 5.
    pub metadata_mode: bool,
    /// `BAO_LOG_LEVEL`, `VAULT_LOG_LEVEL`: where we stop sending. The host filters what arrives by a
    /// level of its own, which no plugin learns. Without them: `info`, as hosts have it; what is
    /// written only to be thrown away would cost the host more than us.
    pub log_level: LevelFilter,
}

impl VaultEnv {
    /// Reads the variables.
    pub fn read(environment: &dyn Environment) -> Self {
        let either = |name: &str| {
            environment
                .var(&format!("BAO_{name}"))
                .or_else(|| environment.var(&format!("VAULT_{name}")))
        };
        Self {
            metadata_mode: either("PLUGIN_METADATA_MODE").is_some_and(|mode| is_true(&mode)),
            log_level: either("LOG_LEVEL")
                .and_then(|name| level(&name))
                .unwrap_or(LevelFilter::INFO),
        }
    }
}

/// The spellings of Go's `strconv.ParseBool`.
fn is_true(text: &str) -> bool {
    ["1", "t", "T", "TRUE", "true", "True"].contains(&text)
}

/// The host's own names of its levels.
fn level(name: &str) -> Option<LevelFilter> {
    match name.trim().to_ascii_lowercase().as_str() {
        "trace" => Some(LevelFilter::TRACE),
        "debug" => Some(LevelFilter::DEBUG),
        "info" | "notice" => Some(LevelFilter::INFO),
        "warn" | "warning" => Some(LevelFilter::WARN),
        "error" | "err" => Some(LevelFilter::ERROR),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::FixedEnvironment;

    fn read<const N: usize>(variables: [(&str, &str); N]) -> VaultEnv {
        VaultEnv::read(&FixedEnvironment::from(variables))
    }

    #[test]
    fn either_name_turns_metadata_mode_on() {
        assert!(read([("VAULT_PLUGIN_METADATA_MODE", "true")]).metadata_mode);
        assert!(read([("BAO_PLUGIN_METADATA_MODE", "true")]).metadata_mode);
        assert!(!read([("VAULT_PLUGIN_METADATA_MODE", "false")]).metadata_mode);
        assert!(!read([]).metadata_mode);
    }

    #[test]
    fn the_hosts_level_is_where_sending_stops() {
        assert_eq!(read([]).log_level, LevelFilter::INFO);
        assert_eq!(
            read([("VAULT_LOG_LEVEL", "TRACE")]).log_level,
            LevelFilter::TRACE
        );
        assert_eq!(
            read([("BAO_LOG_LEVEL", "warning")]).log_level,
            LevelFilter::WARN
        );
        assert_eq!(
            read([("VAULT_LOG_LEVEL", "loud")]).log_level,
            LevelFilter::INFO
        );
    }
}
