//! What is printed, and what is written as JSON.

use serde_json::{Value, json};

use crate::contenders::Role;
use crate::options::Options;
use crate::verdict::{Finding, Series, Verdict};

pub(crate) fn print_finding(finding: &Finding) {
    let title = format!("{}, {}", finding.title(), finding.metric.unit);
    println!(
        "\n{title}\n{:>35} {:>22} {:>8}",
        "figure", "quartiles", "ratio"
    );
    for series in &finding.series {
        let Some(figure) = series.figure() else {
            println!("{:>24} {:>10}", series.name, "-");
            continue;
        };
        let range = series.quartiles().map(range).unwrap_or_default();
        let ratio = match finding.ratio_to(series) {
            Some(ratio) if series.role != Role::Ours => format!("{ratio:.2}"),
            _ => String::new(),
        };
        println!("{:>24} {figure:>10.2} {range:>22} {ratio:>8}", series.name);
    }
    if let Some(verdict) = finding.verdict() {
        let outcome = if verdict.is_met { "met" } else { "MISSED" };
        println!(
            "   reach: {}: {}, {outcome}",
            verdict.reach,
            value(&verdict)
        );
    }
}

pub(crate) fn print_summary(findings: &[Finding]) {
    println!(
        "\n{:<76} {:>9} {:>9} {:<10} {:>6}  reach",
        "", "tenure", "best peer", "", "ratio"
    );
    for finding in findings {
        let best = finding.best_peer();
        let verdict = finding.verdict().map(|verdict| {
            let outcome = if verdict.is_met { "met" } else { "MISSED" };
            format!("{outcome}: {}, is {}", verdict.reach, value(&verdict))
        });
        println!(
            "{:<76} {:>9} {:>9} {:<10} {:>6}  {}",
            format!("{}, {}", finding.title(), finding.metric.unit),
            number(finding.ours().and_then(Series::figure)),
            number(best.and_then(Series::figure)),
            best.map_or("", |series| series.name),
            number(best.and_then(|series| finding.ratio_to(series))),
            verdict.unwrap_or_default(),
        );
    }
}

pub(crate) fn to_json(findings: &[Finding], options: &Options) -> Value {
    json!({
        "rounds": options.rounds,
        "threads": std::thread::available_parallelism().map_or(0, usize::from),
        "workloads": findings.iter().map(finding_to_json).collect::<Vec<_>>(),
    })
}

fn finding_to_json(finding: &Finding) -> Value {
    let pools = finding.series.iter().map(|series| {
        json!({
            "name": series.name,
            "role": series.role.as_str(),
            "rounds": series.rounds,
            "figure": series.figure(),
            "quartiles": series.quartiles(),
            "ratio": finding.ratio_to(series),
            "ratio_quartiles": finding.ratio_quartiles(series),
        })
    });
    let best = finding.best_peer().map(|series| {
        json!({
            "name": series.name,
            "figure": series.figure(),
            "ratio": finding.ratio_to(series),
            "ratio_quartiles": finding.ratio_quartiles(series),
        })
    });
    let reach = finding.verdict().map(|verdict| {
        json!({
            "text": verdict.reach,
            "value": verdict.value,
            "quartiles": verdict.quartiles,
            "met": verdict.is_met,
        })
    });
    json!({
        "name": finding.title(),
        "workload": finding.workload,
        "metric": finding.metric.name,
        "unit": finding.metric.unit,
        "pools": pools.collect::<Vec<_>>(),
        "best_peer": best,
        "reach": reach,
    })
}

fn value(verdict: &Verdict) -> String {
    match verdict.quartiles {
        Some(quartiles) => format!("{:.2} ({})", verdict.value, range(quartiles)),
        None => format!("{:.2}", verdict.value),
    }
}

fn range((low, high): (f64, f64)) -> String {
    format!("{low:.2}..{high:.2}")
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_string(), |value| format!("{value:.2}"))
}
