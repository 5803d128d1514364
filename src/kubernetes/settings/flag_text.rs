// SPDX-License-Identifier: Apache-2.0
//! The texts of flags whose types are not plain, each as its own `Set` reads it; errors are in Go's words.

use std::net::IpAddr;

use crate::kubernetes::{flag_values, quantity};

type Pairs = Vec<(String, String)>;

/// `strconv.ParseInt(text, 0, bits)`, with the bounds of the bits.
pub(super) fn whole(text: &str, least: i128, most: i128) -> Result<i128, String> {
    let problem = if flag_values::is_whole(text) { "value out of range" } else { "invalid syntax" };
    let number = flag_values::integer(text).filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("strconv.ParseInt: parsing {text:?}: {problem}"))
}

/// `strconv.ParseFloat`, in 32 or 64 bits.
pub(super) fn float(text: &str, is_single: bool) -> Result<f64, String> {
    let fault = |problem: &str| format!("strconv.ParseFloat: parsing {text:?}: {problem}");
    let number = flag_values::number(text).ok_or_else(|| fault("invalid syntax"))?;
    #[expect(clippy::cast_possible_truncation, reason = "Go rounds to 32 bits, too")]
    let rounded = if is_single { f64::from(number as f32) } else { number };
    if rounded.is_infinite() && !text.to_ascii_lowercase().contains("inf") {
        return Err(fault("value out of range"));
    }
    Ok(rounded)
}

/// `strconv.ParseUint(text, 10, 31)`.
pub(super) fn decimal(text: &str) -> Result<i128, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number: &i128| is_number && *number < 1 << 31);
    let problem = if is_number { "value out of range" } else { "invalid syntax" };
    number.ok_or_else(|| format!("strconv.ParseUint: parsing {text:?}: {problem}"))
}

/// klog's level of a message: a name in any letters, or `strconv.ParseInt(text, 10, 32)`.
pub(super) fn severity(text: &str) -> Result<String, String> {
    let is_name = ["INFO", "WARNING", "ERROR", "FATAL"].contains(&text.to_uppercase().as_str());
    let is_valid = is_name || text.parse::<i32>().is_ok();
    is_valid
        .then(|| text.to_owned())
        .ok_or_else(|| format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
}

/// `raw`, a version that begins with `v`, or a boolean.
pub(super) fn version(text: &str) -> Result<String, String> {
    let is_valid = text == "raw" || text.starts_with('v') || flag_values::boolean(text).is_some();
    is_valid
        .then(|| text.to_owned())
        .ok_or_else(|| format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))
}

/// `file.go:N`, or nothing.
pub(super) fn trace_location(text: &str) -> Result<String, String> {
    let is_place = text.split_once(':').is_some_and(|(file, line)| {
        file.contains('.') && !line.contains(':') && line.parse::<i64>().is_ok_and(|line| line > 0)
    });
    (is_place || text.is_empty())
        .then(|| text.to_owned())
        .ok_or_else(|| "syntax error: expect file.go:234".to_owned())
}

/// `ParseIPSloppy` of k8s.io/utils/net, or nothing.
pub(super) fn address(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let address = flag_values::sloppy_address(text);
    address.map(|address| address.to_string()).ok_or_else(|| format!("{text:?} is not a valid IP address"))
}

/// An address, an address and a port, or nothing.
pub(super) fn address_port(text: &str) -> Result<String, String> {
    if text.is_empty() || flag_values::sloppy_address(text).is_some() {
        return Ok(text.to_owned());
    }
    let Some((host, port)) = host_and_port(text) else {
        return Err(format!("{text:?} is not in a valid format (ip or ip:port)"));
    };
    if flag_values::sloppy_address(host).is_none() {
        return Err(format!("{host:?} is not a valid IP address"));
    }
    // ParsePort of k8s.io/utils/net: strconv.ParseUint(port, 10, 16).
    let is_port = !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && port.parse::<u32>().is_ok_and(|port| port <= 65_535);
    is_port.then(|| text.to_owned()).ok_or_else(|| format!("{port:?} is not a valid number"))
}

/// Go's `net.SplitHostPort`.
pub(crate) fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:")?,
        None => {
            let (host, port) = text.rsplit_once(':')?;
            if host.contains(':') {
                return None;
            }
            (host, port)
        }
    };
    let is_plain = |part: &str| !part.contains(['[', ']']);
    (is_plain(host) && is_plain(port) && !port.contains(':')).then_some((host, port))
}

/// `strconv.ParseInt(part, 0, 32)` of each part.
pub(super) fn whole_list(text: &str) -> Result<Vec<String>, String> {
    let number = |part: &str| whole(part, i32::MIN.into(), i32::MAX.into());
    text.split(',').map(|part| number(part).map(|number| number.to_string())).collect()
}

/// `cert,key` or `cert,key:names`; returned as one item, `cert,key`.
pub(super) fn certificate_keys(text: &str) -> Result<Vec<String>, String> {
    let files = match text.split_once(':') {
        Some((_, names)) if names.trim().is_empty() => {
            return Err("empty names list is not allowed".to_owned());
        }
        Some((files, _)) => files,
        None => text,
    };
    match files.split(',').collect::<Vec<_>>()[..] {
        [certificate, key] => Ok(vec![format!("{},{}", certificate.trim(), key.trim())]),
        _ => Err("expected comma separated certificate and key file paths".to_owned()),
    }
}

/// `name=true` with commas between them.
pub(super) fn switches(text: &str) -> Result<Pairs, String> {
    let pairs = flag_values::map(text, '=').ok_or("malformed pair, expect string=bool")?;
    for (name, value) in &pairs {
        if flag_values::boolean(value).is_none() {
            return Err(format!("invalid value of {name}: {value}"));
        }
    }
    Ok(pairs.into_iter().collect())
}

/// Names with or without a value.
pub(super) fn configuration(text: &str) -> Pairs {
    let pairs = text.split(',').filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.trim().to_owned(), value.trim().to_owned())
    };
    pairs.map(pair).collect()
}

/// pflag's `stringToString`: one pair as it stands, several as CSV.
pub(super) fn pairs(text: &str) -> Result<Pairs, String> {
    let parts = match text.matches('=').count() {
        0 => return Err(format!("{text} must be formatted as key=value")),
        1 => vec![text.trim_matches('"').to_owned()],
        _ => flag_values::comma_separated(text).ok_or("parse error: bare or extraneous \" in field")?,
    };
    let pair = |part: String| match part.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err(format!("{part} must be formatted as key=value")),
    };
    parts.into_iter().map(pair).collect()
}

/// klog's `pattern=N` with commas between them.
pub(super) fn modules(text: &str) -> Result<Pairs, String> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let pair = |part: &str| match part.split('=').collect::<Vec<_>>()[..] {
        [pattern, level] if !pattern.is_empty() && !level.is_empty() => {
            decimal(level).map_err(|problem| format!("parsing verbosity in {part:?}: {problem}"))?;
            Ok((pattern.to_owned(), level.to_owned()))
        }
        _ => Err(format!("{part:?} does not have the pattern=N format")),
    };
    parts.map(pair).collect()
}

/// `node:type=quantity[,type=quantity…]` with semicolons between them.
pub(super) fn reserved_memory(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    for node in text.split(';') {
        let format = || {
            format!(
                "the reserved memory has incorrect format, expected numaNodeID:type=quantity[,type=quantity...], got {node}"
            )
        };
        let (number, limits) = node.split_once(':').ok_or_else(format)?;
        if limits.contains(':') {
            return Err(format());
        }
        if number.parse::<i64>().is_err() {
            return Err(format!("failed to convert the NUMA node ID, expected integer, got {number}"));
        }
        for limit in limits.split(',') {
            let wrong =
                || format!("the reserved limit has incorrect value, expected type=quantity, got {limit}");
            let (kind, amount) = limit.split_once('=').ok_or_else(wrong)?;
            if amount.contains('=') {
                return Err(wrong());
            }
            if kind != "memory" && !kind.starts_with("hugepages-") {
                return Err(format!("memory type conversion error, unknown type: {kind:?}"));
            }
            if quantity::parse(amount).is_none() {
                return Err(format!("failed to parse the quantity: {amount}"));
            }
        }
    }
    Ok(text.split(';').map(str::to_owned).collect())
}

/// Tells whether a text is an address of the sixth version.
pub(super) fn is_v6(text: &str) -> bool {
    matches!(flag_values::sloppy_address(text), Some(IpAddr::V6(_)))
}
