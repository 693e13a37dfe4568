//! Other plausible values of a field, such as somebody could write by mistake.

use serde_json::Value;

use crate::validate::Path;

/// Values of Kubernetes' enumerations, as: key, value, another value of the same enumeration (Kubernetes API reference).
const ENUMS: &[(&str, &str, &str)] = &[
    ("accessModes", "ReadWriteOnce", "ReadWriteMany"),
    ("drop", "ALL", "NET_RAW"),
    ("fsGroupChangePolicy", "OnRootMismatch", "Always"),
    ("imagePullPolicy", "IfNotPresent", "Always"),
    ("operator", "In", "NotIn"),
    ("pathType", "Prefix", "Exact"),
    ("podManagementPolicy", "Parallel", "OrderedReady"),
    ("policyTypes", "Egress", "Ingress"),
    ("policyTypes", "Ingress", "Egress"),
    ("protocol", "TCP", "UDP"),
    ("protocol", "UDP", "TCP"),
    ("type", "ClusterIP", "NodePort"),
    ("type", "NodePort", "LoadBalancer"),
    ("type", "RollingUpdate", "Recreate"),
    ("type", "RuntimeDefault", "Unconfined"),
    ("unhealthyPodEvictionPolicy", "AlwaysAllow", "IfHealthyBudget"),
    ("whenDeleted", "Delete", "Retain"),
    ("whenScaled", "Delete", "Retain"),
    ("whenUnsatisfiable", "ScheduleAnyway", "DoNotSchedule"),
];

/// Keys whose numbers are names and not amounts, such as ports: mutated to the next number.
const NAMES: [&str; 8] =
    ["port", "containerPort", "nodePort", "targetPort", "runAsUser", "runAsGroup", "fsGroup", "defaultMode"];

/// The plausible other values of a leaf; none where its type has no other. `others`: values at the same path elsewhere.
pub fn values(value: &Value, path: &Path, others: &[&Value]) -> Vec<Value> {
    let key = path.last_key().unwrap_or_default();
    let mut found = match value {
        Value::Bool(set) => vec![Value::Bool(!set)],
        Value::Number(number) => number.as_i64().map(|number| numbers(number, key)).unwrap_or_default(),
        Value::String(text) => texts(text, key, others).into_iter().map(Value::from).collect(),
        _ => Vec::new(),
    };
    found.retain(|other| other != value);
    found.dedup();
    found
}

/// Ten times a number, and a tenth of it; the next number for a key in [`NAMES`].
fn numbers(number: i64, key: &str) -> Vec<Value> {
    let others = if NAMES.contains(&key) { vec![number + 1] } else { vec![number * 10, number / 10] };
    // Zero stays zero by both.
    others.into_iter().map(|other| Value::from(if other == number { other + 1 } else { other })).collect()
}

fn texts(text: &str, key: &str, others: &[&Value]) -> Vec<String> {
    if let Some((.., other)) = ENUMS.iter().find(|(at, of, _)| *at == key && *of == text) {
        return vec![(*other).to_owned()];
    }
    if let Some((number, unit)) = quantity(text) {
        return match key {
            // A port, or a value that is no quantity.
            "value" | "port" => vec![format!("{}{unit}", number + 1)],
            _ => vec![format!("{}{unit}", number * 10), format!("{}{unit}", number.div_ceil(10))],
        };
    }
    if text.split_once('/').is_some_and(|(address, bits)| bits.parse::<u8>().is_ok() && address.contains('.')) {
        return vec![if text == "0.0.0.0/0" { "10.0.0.0/8" } else { "0.0.0.0/0" }.to_owned()];
    }
    match text {
        "true" => return vec!["false".to_owned()],
        "/" => return vec!["/other".to_owned()],
        _ => {}
    }
    let mut found = vec![misspelt(text)];
    // The next value, in a circle, at the same path elsewhere: what a copied block is left with.
    let mut known: Vec<&str> =
        others.iter().filter_map(|other| other.as_str()).filter(|other| *other != text).collect();
    known.sort_unstable();
    let next = known.iter().find(|other| **other > text).or(known.first());
    found.extend(next.map(|next| (*next).to_owned()));
    found
}

/// A number with a unit of Kubernetes' quantities, or without.
fn quantity(text: &str) -> Option<(u64, &str)> {
    let unit = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let known = ["", "m", "Ki", "Mi", "Gi"].contains(&unit);
    known.then(|| number.parse().ok()).flatten().map(|number| (number, unit))
}

/// The text with one letter twice: the first of its last word, so that `shop-api` is `shop-aapi`.
fn misspelt(text: &str) -> String {
    let end = text.trim_end_matches(|letter: char| !letter.is_alphanumeric()).len();
    let start = text[..end].rfind(|letter: char| !letter.is_alphanumeric()).map_or(0, |at| at + 1);
    let letter = text[start..].chars().next().unwrap_or('x');
    format!("{}{letter}{}", &text[..start], &text[start..])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("enabled", json!(true), &[], json!([false]))]
    #[case("replicas", json!(3), &[], json!([30, 0]))]
    #[case("maxUnavailable", json!(0), &[], json!([1]))]
    #[case("containerPort", json!(80), &[], json!([81]))]
    #[case("memory", json!("128Mi"), &[], json!(["1280Mi", "13Mi"]))]
    #[case("cpu", json!("1"), &[], json!(["10"]))]
    #[case("value", json!("5432"), &[], json!(["5433"]))]
    #[case("cidr", json!("10.0.0.0/16"), &[], json!(["0.0.0.0/0"]))]
    #[case("protocol", json!("TCP"), &[], json!(["UDP"]))]
    #[case("type", json!("RollingUpdate"), &[], json!(["Recreate"]))]
    #[case("path", json!("/"), &[], json!(["/other"]))]
    #[case("path", json!("/api/live"), &[], json!(["/api/llive"]))]
    #[case("name", json!("r-db"), &["r-api", "r-db", "r-web"], json!(["r-ddb", "r-web"]))]
    #[case("name", json!("r-web"), &["r-api", "r-db", "r-web"], json!(["r-wweb", "r-api"]))]
    #[case("policyTypes", json!("Egress"), &[], json!(["Ingress"]))]
    fn plausible(#[case] key: &str, #[case] value: Value, #[case] others: &[&str], #[case] wanted: Value) {
        let others: Vec<Value> = others.iter().map(|other| json!(other)).collect();
        let others: Vec<&Value> = others.iter().collect();
        assert_eq!(Value::from(values(&value, &Path::default().key(key), &others)), wanted);
    }
}
