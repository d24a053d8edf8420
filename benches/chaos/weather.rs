//! What is wrong with AWS, for some seconds each.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;
use vault_plugin_secrets_aws::aws::fake::{FakeAws, Fault, FaultRule, RateLimit};

use crate::ledger::Ledger;

/// Of one call to AWS, in every weather.
const DELAY: Duration = Duration::from_millis(15);

/// Every call takes its time, and nothing goes wrong.
pub(crate) fn clear(aws: &FakeAws) {
    aws.heal();
    aws.limit_iam(None);
    aws.new_keys_unknown_for(0);
    aws.set_delay(DELAY);
}

/// One weather after the other, as the seed has it.
pub(crate) async fn change(aws: &FakeAws, ledger: &Ledger, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    aws.seed_faults(random.random());
    loop {
        clear(aws);
        let what = draw(aws, &mut random);
        ledger.note(format!("AWS: {what}"));
        ledger.count("AWS weather", what);
        sleep(Duration::from_millis(random.random_range(1500..6000))).await;
    }
}

fn draw(aws: &FakeAws, random: &mut StdRng) -> &'static str {
    let some = |random: &mut StdRng| random.random_range(5..30);
    let meet = |fault, percent| aws.inject(FaultRule::on("*", fault).percent(percent));
    match random.random_range(0..9) {
        0 | 1 => "nothing wrong",
        2 => {
            let per_second = random.random_range(8..25);
            aws.limit_iam(Some(RateLimit {
                per_second,
                burst: per_second,
            }));
            meet(Fault::Code("Throttling"), 2);
            "throttling"
        }
        3 => {
            meet(Fault::Code("ServiceFailure"), some(random));
            meet(Fault::Code("ServiceUnavailable"), some(random));
            "5xx"
        }
        4 => {
            meet(Fault::Unreachable, some(random));
            "connections reset"
        }
        5 => {
            meet(Fault::AnswerLost, some(random));
            "answers lost"
        }
        6 => {
            let by = Duration::from_millis(random.random_range(1_000..12_000));
            meet(Fault::AnswerLate(by), some(random));
            "late answers"
        }
        7 => {
            let age = Duration::from_secs(random.random_range(3..20));
            let rule = |operation, percent| {
                aws.inject(FaultRule::on(operation, Fault::NotSpreadYet(age)).percent(percent));
            };
            // What looks and what removes more often than what makes, or nothing would be made.
            for operation in ["iam:Delete*", "iam:List*", "iam:Get*", "iam:Update*"] {
                rule(operation, random.random_range(40..100));
            }
            rule("iam:*", 5);
            aws.new_keys_unknown_for(random.random_range(0..3));
            "young users unknown"
        }
        _ => {
            for fault in [
                Fault::Code("Throttling"),
                Fault::Code("InternalFailure"),
                Fault::Unreachable,
                Fault::AnswerLost,
                Fault::AnswerLate(Duration::from_secs(3)),
                Fault::NotSpreadYet(Duration::from_secs(10)),
            ] {
                meet(fault, random.random_range(1..7));
            }
            "everything at once"
        }
    }
}
