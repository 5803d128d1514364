// SPDX-License-Identifier: Apache-2.0
//! The values of flags: `kubernetes::flag_values` and `kubernetes::quantity` read each text as Go and Kubernetes do.

use k3s_harden::kubernetes::{flag_values, quantity};
use serde_json::json;

use super::Judge;
use crate::support::counts::pick;
use crate::support::random::Random;

const SEED: u64 = 0x7661_6c75_6573;
/// How many texts of each form are asked about.
const TEXTS: usize = pick(250, 5_000);

/// What a value is called, how ours prints it (none: refused), texts to begin with, and letters to put into them.
struct ValueForm {
    name: &'static str,
    read: fn(&str) -> Option<String>,
    samples: &'static [&'static str],
    letters: &'static str,
}

fn shown(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn pairs(text: &str, separator: char) -> Option<String> {
    let pairs = flag_values::map(text, separator)?;
    let lines = pairs.iter().map(|(name, value)| format!("{name}\0{value}"));
    Some(lines.collect::<Vec<_>>().join("\u{1}"))
}

/// The bytes of an address as IPv6, in hexadecimal.
fn bytes(address: std::net::IpAddr) -> String {
    let address = match address {
        std::net::IpAddr::V4(address) => address.to_ipv6_mapped(),
        std::net::IpAddr::V6(address) => address,
    };
    address.octets().iter().map(|byte| format!("{byte:02x}")).collect()
}

const FORMS: [ValueForm; 11] = [
    ValueForm {
        name: "boolean",
        read: |text| shown(flag_values::boolean(text)),
        samples: &["true", "false", "True", "TRUE", "t", "F", "1", "0", "yes", ""],
        letters: "tTrueEfFalsS01 ",
    },
    ValueForm {
        name: "integer",
        read: |text| shown(flag_values::integer(text)),
        samples: &["0", "30", "-1", "+7", "0x1e", "0b101", "0o17", "017", "1_000", "9223372036854775807"],
        letters: "0123456789abfxXoOB_+- ",
    },
    ValueForm {
        name: "unsigned",
        read: |text| shown(flag_values::unsigned(text)),
        samples: &["0", "30", "0x1e", "0b101", "0o17", "017", "1_000", "18446744073709551615"],
        letters: "0123456789abfxXoOB_+- ",
    },
    ValueForm {
        name: "duration",
        read: |text| shown(flag_values::duration(text)),
        samples: &[
            "300s",
            "5m0s",
            "1.5h",
            "-1m",
            "0",
            "2562047h",
            "1h30m10.5s",
            "250ms",
            "3us",
            "7ns",
            ".5s",
        ],
        letters: "0123456789hmsunµ.+-d ",
    },
    ValueForm {
        name: "address",
        read: |text| flag_values::address(text).map(bytes),
        samples: &[
            "10.42.0.1",
            " 127.0.0.1 ",
            "fd00::1",
            "::",
            "::ffff:10.0.0.1",
            "1:2:3:4:5:6:7:8",
            "0.0.0.0",
        ],
        letters: "0123456789abcdef.:% ",
    },
    ValueForm {
        name: "list",
        read: |text| flag_values::comma_separated(text).map(|items| items.join("\0")),
        samples: &["a", "a,b", "", "\"a,b\",c", "a,,b,", "\"a\"\"b\"", "a b", "a\"b"],
        letters: "abc,\" =",
    },
    ValueForm {
        name: "map",
        read: |text| pairs(text, '='),
        samples: &["cpu=100m", "cpu=1,memory=1Gi", "", "a=b=c", " a = b ", "a", "a=1,a=2"],
        letters: "abcpu=,< 1Gi",
    },
    ValueForm {
        name: "thresholds",
        read: |text| pairs(text, '<'),
        samples: &["memory.available<100Mi", "a<1,b<5%", "", "a<b<c", " a < b "],
        letters: "abcmem.=,< 1%",
    },
    ValueForm {
        name: "quantity",
        read: |text| shown(quantity::parse(text)),
        samples: &[
            "0",
            "1",
            "100Mi",
            "250m",
            "1.5Gi",
            "2e3",
            "1E-2",
            "1E",
            "-5k",
            "+.5",
            "7n",
            "3u",
            "0.1n",
            "12Ki",
            "1.",
            "999999999999999999999",
            "1Ei",
            "12345678901234567890.12345678901234567890",
            "1.2345678901234567890123Gi",
        ],
        letters: "0123456789.eEinumkKMGTP+-%",
    },
    ValueForm {
        name: "cidr",
        read: |text| {
            let (address, prefix) = flag_values::cidr(text)?;
            Some(format!("{}/{prefix} of {}", bytes(address), if address.is_ipv4() { 32 } else { 128 }))
        },
        samples: &[
            "10.42.0.0/16",
            "0.0.0.0/0",
            "fd00::/48",
            "::/0",
            "::ffff:10.0.0.1/120",
            "010.1.2.3/8",
            "1::2/64",
        ],
        letters: "0123456789abcdef.:/ ",
    },
    ValueForm {
        name: "port-range",
        read: |text| flag_values::port_range(text).map(|(base, size)| format!("{base}+{size}")),
        samples: &["30000-32767", "80", "8000+10", "", "0-0", "65535", "1-2", "+5"],
        letters: "0123456789-+ ",
    },
];

/// Tells whether a quantity has an exponent of more than three digits: Kubernetes takes minutes over it.
fn is_endless(text: &str) -> bool {
    let exponent = text.split(['e', 'E']).next_back().unwrap_or_default();
    text.contains(['e', 'E']) && exponent.trim_start_matches(['+', '-']).len() > 3
}

/// Returns a sample with a few letters put in, taken out or exchanged.
fn text(form: &ValueForm, random: &mut Random) -> String {
    let mut text: Vec<char> = form.samples[random.below(form.samples.len())].chars().collect();
    let letters: Vec<char> = form.letters.chars().collect();
    for _ in 0..random.below(4) {
        let letter = letters[random.below(letters.len())];
        let at = random.below(text.len() + 1);
        match random.below(3) {
            0 => text.insert(at, letter),
            1 if at < text.len() => text[at] = letter,
            _ if at < text.len() => drop(text.remove(at)),
            _ => text.push(letter),
        }
    }
    text.into_iter().collect()
}

/// Asks about every form; returns the texts of which both do not say the same.
pub(super) fn differences(judge: &mut Judge) -> Vec<String> {
    let mut random = Random::new(SEED);
    let mut differences = Vec::new();
    for form in &FORMS {
        let (mut accepted, mut refused) = (0, 0);
        for _ in 0..TEXTS {
            let text = text(form, &mut random);
            if form.name == "quantity" && is_endless(&text) {
                continue;
            }
            let answer = judge.put(&json!({ "kind": "value", "form": form.name, "text": text }));
            let theirs = match answer["error"].as_str() {
                Some(_) => None,
                None => Some(answer["value"].as_str().unwrap_or_default().to_owned()),
            };
            let ours = (form.read)(&text);
            if ours != theirs {
                differences.push(format!("{} {text:?}: ours {ours:?}, theirs {answer}", form.name));
            }
            *(if theirs.is_some() { &mut accepted } else { &mut refused }) += 1;
        }
        println!("{}: {accepted} texts accepted, {refused} refused, seed {SEED:#x}", form.name);
        assert!(accepted > 0 && refused > 0, "{} is asked about in one way only", form.name);
    }
    differences
}
