//! Operation ids: `<prefix>-<verb>-<suffix>`, the names of functions in generated clients, made by
//! the same rules as the Go framework makes them.

use super::super::path::{OperationDocs, PathDocs};
use crate::logical::Operation;

/// The id of `operation` on `path`, the template's choice number `choice`.
pub(super) fn of(
    path_docs: PathDocs,
    docs: OperationDocs,
    operation: &Operation,
    choice: usize,
    path: &str,
    prefix: &str,
) -> String {
    let verb = match (docs.verb, operation) {
        ("", Operation::Update) => "write",
        ("", other) => other.as_str(),
        (verb, _) => verb,
    };
    let declared = match docs.suffix {
        "" => path_docs.operation_suffix,
        suffix => suffix,
    };
    let suffix = match declared.split('|').nth(choice) {
        Some("") if !docs.verb.is_empty() => String::new(),
        None | Some("") => words(path),
        Some(suffix) => suffix.to_owned(),
    };
    hyphenate([prefix, verb, &suffix]).to_lowercase()
}

fn words(path: &str) -> String {
    hyphenate(path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
}

fn hyphenate<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(path_suffix: &'static str, verb: &'static str, suffix: &'static str) -> [String; 2] {
        [(0, "/coupons/{shop_id}"), (1, "/vouchers/{shop_id}")].map(|(choice, path)| {
            of(
                PathDocs {
                    operation_suffix: path_suffix,
                    ..PathDocs::default()
                },
                OperationDocs {
                    verb,
                    suffix,
                    ..OperationDocs::NONE
                },
                &Operation::Update,
                choice,
                path,
                "Shop",
            )
        })
    }

    #[test]
    fn without_hints_the_path_names_the_operation() {
        assert_eq!(
            id("", "", ""),
            ["shop-write-coupons-shop_id", "shop-write-vouchers-shop_id"]
        );
    }

    #[test]
    fn each_choice_of_the_template_takes_its_own_suffix() {
        assert_eq!(
            id("coupon|voucher", "print", ""),
            ["shop-print-coupon", "shop-print-voucher"]
        );
    }

    #[test]
    fn the_suffix_of_the_operation_wins_over_that_of_the_path() {
        assert_eq!(
            id("coupon|voucher", "", "ticket|slip"),
            ["shop-write-ticket", "shop-write-slip"]
        );
    }

    #[test]
    fn a_choice_without_a_suffix_takes_the_words_of_the_path() {
        assert_eq!(
            id("coupon", "", ""),
            ["shop-write-coupon", "shop-write-vouchers-shop_id"]
        );
    }

    #[test]
    fn a_verb_alone_ends_the_id() {
        assert_eq!(
            id("", "reset", ""),
            ["shop-reset", "shop-reset-vouchers-shop_id"]
        );
    }

    #[test]
    fn only_an_update_is_called_a_write() {
        for (operation, expected) in [
            (Operation::Update, "write-x"),
            (Operation::Create, "create-x"),
            (Operation::Patch, "patch-x"),
            (Operation::Read, "read-x"),
            (Operation::List, "list-x"),
            (Operation::Delete, "delete-x"),
        ] {
            let found = of(
                PathDocs::default(),
                OperationDocs::NONE,
                &operation,
                0,
                "/x",
                "",
            );
            assert_eq!(found, expected);
        }
    }
}
