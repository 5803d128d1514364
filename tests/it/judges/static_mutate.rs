// SPDX-License-Identifier: Apache-2.0
//! Mistakes in files of admission policies: in their YAML, and in the expressions of a policy.

use std::collections::BTreeSet;

use crate::support::random::Random;

/// What stands in place of a value.
const VALUES: [&str; 62] = [
    "''",
    "null",
    "~",
    "3",
    "-1",
    "true",
    "[]",
    "{}",
    "[x]",
    "['']",
    "[null]",
    "[{}]",
    "{a: b}",
    "{A/b/c: d}",
    "{a: -}",
    "text",
    "Text",
    "a.b/c",
    "a/b/c",
    "-a",
    "a%b",
    "'*'",
    "['*']",
    "['*', a]",
    "['*/*', a]",
    "['a/*', a/b]",
    "['*/b', a/b]",
    "[a, a]",
    "[Deny]",
    "[Deny, Warn]",
    "[Audit, Audit]",
    "[deny]",
    "[CREATE]",
    "[create]",
    "['*', CREATE]",
    "Fail",
    "Ignore",
    "fail",
    "Exact",
    "Equivalent",
    "Cluster",
    "Namespaced",
    "Forbidden",
    "Invalid",
    "Unauthorized",
    "RequestEntityTooLarge",
    "In",
    "NotIn",
    "Exists",
    "DoesNotExist",
    "Equals",
    "x.static.k8s.io",
    "X.static.k8s.io",
    "listed.static.k8s.io",
    "static.k8s.io",
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1beta1",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingAdmissionPolicyList",
    "List",
];

/// Lines that some object has, right and wrong.
const LINES: [&str; 30] = [
    "paramKind: {apiVersion: v1, kind: ConfigMap}",
    "paramKind: null",
    "paramRef: {name: a, parameterNotFoundAction: Deny}",
    "namespace: default",
    "generateName: a-",
    "generateName: A",
    "generation: 1",
    "generation: -1",
    "uid: a",
    "labels: {a: b}",
    "labels: {a b: c}",
    "labels: {a: b c}",
    "annotations: {A/b: c}",
    "annotations: {a//b: c}",
    "finalizers: [orphan, foregroundDeletion]",
    "finalizers: ['']",
    "scope: ''",
    "scope: Cluster",
    "reason: Forbidden",
    "reason: ''",
    "message: ' '",
    "message: \"a\\nb\"",
    "messageExpression: ' '",
    "messageExpression: \"'a' + request.name\"",
    "messageExpression: request.dryRun",
    "resourceNames: [a, a]",
    "resourceNames: [a/b]",
    "status: {observedGeneration: 1}",
    "apiVersion: v1",
    "extra: 1",
];

/// Makes one to three mistakes in a file, sometimes none.
pub(super) fn file(random: &mut Random, sample: &str) -> String {
    let mut lines: Vec<String> = sample.lines().map(str::to_owned).collect();
    for _ in 0..random.below(4) {
        mistake(random, &mut lines);
    }
    let text = lines.join("\n") + "\n";
    match random.below(40) {
        0 => text.replace('\n', "\r\n"),
        1 => format!("---\n{text}"),
        2 => format!("{text}---\n"),
        3 => format!("{text}---\n# nothing\n"),
        4 => format!("# nothing\n---\n{text}"),
        5 => format!("{text}--- # more\n{text}"),
        6 => format!("{text}---more\n"),
        7 => format!("\u{feff}{text}"),
        8 => text.lines().fold(String::new(), |all, line| all + "  " + line + "\n"),
        9 => serde_yaml::from_str::<serde_json::Value>(&text).map_or(text, |value| value.to_string()),
        10 => text.chars().take(random.below(text.chars().count().max(1))).collect(),
        _ => text,
    }
}

fn mistake(random: &mut Random, lines: &mut Vec<String>) {
    if lines.len() < 2 {
        return;
    }
    let at = random.below(lines.len());
    let indent = lines[at].len() - lines[at].trim_start_matches([' ', '-']).len();
    match random.below(14) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => lines[at] = format!("{}x", lines[at].trim_end()),
        3 => {
            let end = lines[at].find(':').unwrap_or(lines[at].len());
            lines[at].insert(end, 's');
        }
        4 => lines[at] = format!(" {}", lines[at]),
        5 => lines.insert(at + 1, format!("{}{}", " ".repeat(indent), LINES[random.below(LINES.len())])),
        6 => {
            // A block is left out.
            let width = |line: &str| line.len() - line.trim_start().len();
            let own = width(&lines[at]);
            let count = lines[at + 1..].iter().take_while(|line| width(line) > own).count();
            lines.drain(at..=at + count);
        }
        7 => {
            // A letter is lost, or another.
            let letters: Vec<char> = lines[at].chars().collect();
            if !letters.is_empty() {
                let place = random.below(letters.len());
                let left = letters.iter().enumerate().filter(|(index, _)| *index != place);
                lines[at] = left.map(|(_, letter)| letter).collect();
            }
        }
        _ => {
            let value = VALUES[random.below(VALUES.len())];
            let line = &lines[at];
            let begin = line.find(": ").map_or_else(|| line.rfind("- ").map_or(0, |at| at + 2), |at| at + 2);
            lines[at] = format!("{}{value}", &line[..begin]);
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
}

/// Expressions that are right somewhere, beside those of the samples.
const EXPRESSIONS: [&str; 48] = [
    "true",
    "object != null && oldObject == null",
    "object.spec.replicas <= 5",
    "object.spec.template.spec.containers.all(c, has(c.resources) && c.image.startsWith('a'))",
    "object.metadata.labels.exists(k, k == 'a')",
    "object.metadata.?annotations['a.b/c'].orValue('') == ''",
    "object.spec.containers.map(c, c.name).join(',')",
    "object.spec.containers.filter(c, c.name != '').map(c, c.name == 'a', c.image).size() > 0",
    "[1, 2, 3].exists_one(i, i % 2 == 0)",
    "{'a': 1, 'b': 2}.all(k, v, v > 0 && k != '')",
    "['a', 'b'].transformList(i, v, string(i) + v).size() == 2",
    "{'a': 1}.transformMap(k, v, v + 1)['a'] == 2",
    "object.?spec.?replicas.hasValue()",
    "object.?spec.?replicas.optMap(r, int(r) + 1).orValue(0) > 1",
    "object.?spec.optFlatMap(s, s.?replicas).orValue(0) == 1",
    "request.userInfo.groups.exists(g, g in ['a', 'b'])",
    "request.userInfo.extra['a'][0].contains('x')",
    "request.kind.group + '/' + request.kind.kind",
    "request.resource.resource == 'pods' ? 'a' : 'b'",
    "request.dryRun || !has(request.namespace)",
    "namespaceObject.metadata.labels['a'] == 'b'",
    "namespaceObject.metadata.creationTimestamp < timestamp('2024-01-01T00:00:00Z')",
    "namespaceObject.status.conditions.all(c, c.type != 'x')",
    "authorizer.path('/healthz').check('get').allowed()",
    "authorizer.requestResource.check('use').reason()",
    "authorizer.serviceAccount('a', 'b').group('').resource('pods').check('get').errored()",
    "quantity(object.spec.resources.limits.cpu).isLessThan(quantity('2'))",
    "duration('1h') + duration(object.spec.ttl) > duration('90m')",
    "url(object.spec.url).getHost() != ''",
    "isIP(object.spec.clusterIP) && ip(object.spec.clusterIP).family() == 4",
    "cidr('10.0.0.0/8').containsIP(object.status.podIP)",
    "semver('1.2.3').major() == 1",
    "object.metadata.name.matches('^[a-z]+$')",
    "object.metadata.name.find('[0-9]+') == ''",
    "'%s is %d'.format([object.metadata.name, 1])",
    "object.metadata.name.split('-').size() > 1 && object.metadata.name.lowerAscii() == object.metadata.name",
    "sets.contains(object.spec.x, ['a'])",
    "type(object.spec) == map",
    "[object.a, 'b']",
    "[[1], [2]].flatten().sum() == 3",
    "-1 + 2 * 3 - 4 / 2 % 2 == 0 || 1.5e3 < 2.0 || 2u == 3u",
    "b'abc' == bytes('abc') && r'\\d' != \"\\x41\\u00e9\"",
    "'''a\n'b''' + \"\"\"c\"\"\" // a comment",
    "dyn(1) == 'a' ? null : 'x'",
    "null",
    "lists.range(3).slice(0, 2).reverse()[0] == 1",
    "object.spec == {} || object.items == []",
    "!format.dns1123Label().validate(object.metadata.name).hasValue()",
];

/// The words that expressions are made of.
#[derive(Debug)]
pub(super) struct Words {
    expressions: Vec<String>,
    tokens: Vec<String>,
}

impl Words {
    pub(super) fn of(samples: &[&str]) -> Self {
        let mut expressions: Vec<String> = EXPRESSIONS.map(str::to_owned).to_vec();
        for sample in samples {
            for document in sample.split("\n---\n") {
                let value: serde_json::Value = serde_yaml::from_str(document).unwrap();
                collect(&value, &mut expressions);
            }
        }
        let tokens: BTreeSet<String> = expressions.iter().flat_map(|text| tokens(text)).collect();
        Self { expressions, tokens: tokens.into_iter().collect() }
    }
}

/// Collects the expressions of an object.
fn collect(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str().filter(|_| name.to_lowercase().ends_with("expression")) {
                    Some(text) => found.push(text.to_owned()),
                    None => collect(value, found),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// Splits an expression into names, numbers, texts and signs.
fn tokens(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let mut token = letter.to_string();
        if letter == '\'' || letter == '"' {
            for next in letters.by_ref() {
                token.push(next);
                if next == letter {
                    break;
                }
            }
        } else if letter.is_alphanumeric() {
            while let Some(next) = letters.next_if(|next| next.is_alphanumeric() || *next == '_') {
                token.push(next);
            }
        }
        if !token.trim().is_empty() {
            found.push(token);
        }
    }
    found
}

/// Numbers at the ends of what the types hold, and beyond.
const NUMBERS: [&str; 24] = [
    "0",
    "1",
    "-1",
    "--1",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775807",
    "0x7fffffffffffffff",
    "-0x1",
    "0u",
    "1u",
    "9223372036854775807u",
    "9223372036854775808u",
    "18446744073709551615u",
    "18446744073709551616u",
    "0.0",
    "-0.5",
    "9.3e18",
    "-9.3e18",
    "1.8e19",
    "1.9e19",
    "-1e30",
    "1e308",
    "1e309",
];

/// Returns a number, converted, somewhere in an expression.
fn converted(random: &mut Random) -> String {
    let number = NUMBERS[random.below(NUMBERS.len())];
    let function = ["int", "uint", "double", "string", "dyn", ""][random.below(6)];
    let value = format!("{function}({number})");
    let around =
        ["dyn(N) != 0", "[N].size() == 1", "object.x == N", "N == N", "!(N in [N])", "{'a': N}.a == N"];
    around[random.below(around.len())].replace('N', &value)
}

/// Returns a chain of which each link is one level deeper for the compiler.
fn chain(random: &mut Random) -> String {
    let links = ["+1", "*1", ".a", "[0]", ".b.trim()", " != true"];
    let begin = ["1", "1", "object", "object", "object", "true"];
    let kind = random.below(links.len());
    let count = [20, 100, 160, 240, 260][random.below(5)];
    format!("dyn({}{}) != 0", begin[kind], links[kind].repeat(count))
}

/// Returns an expression with some mistakes, or none.
fn expression(random: &mut Random, words: &Words) -> String {
    match random.below(60) {
        0 => return chain(random),
        1..=5 => return converted(random),
        _ => {}
    }
    let text = &words.expressions[random.below(words.expressions.len())];
    if random.below(5) == 0 {
        return text.clone();
    }
    let mut parts = tokens(text);
    for _ in 0..=random.below(2) {
        if parts.is_empty() {
            break;
        }
        let at = random.below(parts.len());
        let word = words.tokens[random.below(words.tokens.len())].clone();
        match random.below(10) {
            0 => drop(parts.remove(at)),
            1 => parts.insert(at, parts[at].clone()),
            2 => parts.insert(at, word),
            3 => {
                let other = random.below(parts.len());
                parts.swap(at, other);
            }
            4 => {
                let letters: Vec<char> = parts[at].chars().collect();
                let place = random.below(letters.len());
                let left = letters.iter().enumerate().filter(|(index, _)| *index != place);
                parts[at] = left.map(|(_, letter)| letter).collect();
                parts.retain(|part| !part.is_empty());
            }
            5..=7 => {
                // A token of the same kind, so that more stays right.
                let kind = |text: &str| text.chars().next().map(char::is_alphanumeric);
                let own = kind(&parts[at]);
                let same: Vec<&String> = words.tokens.iter().filter(|token| kind(token) == own).collect();
                parts[at] = same[random.below(same.len())].clone();
            }
            8 => {
                let other = &words.expressions[random.below(words.expressions.len())];
                parts[at] = format!("({other})");
            }
            _ => parts[at] = word,
        }
    }
    let glue = |token: &String| token.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    let mut made = String::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 && glue(part) && glue(&parts[index - 1]) {
            made.push(' ');
        }
        made.push_str(part);
    }
    made
}

/// Variables that the samples have.
const VARIABLES: [&str; 14] = [
    "added",
    "addressesBefore",
    "before",
    "count",
    "images",
    "labels",
    "masters",
    "names",
    "rules",
    "subjects",
    "team",
    "type",
    "typeBefore",
    "volumes",
];

/// Returns a policy with an expression in one of the places for them, which may look at variables.
pub(super) fn policy(random: &mut Random, words: &Words) -> String {
    let known = VARIABLES.map(|name| serde_json::json!({"name": name, "expression": "dyn([])"})).to_vec();
    let mut spec = serde_json::json!({
        "variables": known,
        "matchConstraints": {"resourceRules": [
            {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*"], "operations": ["*"]}
        ]},
        "validations": [{"expression": "true"}],
    });
    let mut text = expression(random, words);
    let place = random.below(6);
    // In half of the places any type is right.
    if random.below(2) == 0 {
        text = match place {
            1 | 2 => format!("string(dyn({text}))"),
            3 => text,
            _ => format!("dyn({text}) != 0"),
        };
    }
    match place {
        0 => spec["matchConditions"] = serde_json::json!([{"name": "a", "expression": text}]),
        1 => spec["validations"][0]["messageExpression"] = text.into(),
        2 => spec["auditAnnotations"] = serde_json::json!([{"key": "a", "valueExpression": text}]),
        3 => {
            spec["variables"]
                .as_array_mut()
                .unwrap()
                .push(serde_json::json!({"name": "a", "expression": text}));
            let uses = [
                "variables.a",
                "variables.a == 'x'",
                "variables.a.b == 1",
                "variables.a.all(x, x == 'y')",
                "size(variables.a) > 0",
                "variables.a > 1",
                "variables.b == 1",
                "variables.a",
            ];
            spec["validations"][0]["expression"] = uses[random.below(uses.len())].into();
        }
        _ => spec["validations"][0]["expression"] = text.into(),
    }
    let object = serde_json::json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "a.static.k8s.io"},
        "spec": spec,
    });
    object.to_string()
}
