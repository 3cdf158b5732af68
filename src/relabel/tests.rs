//! Rules as a whole: what Prometheus documents and does, case by case, and what must hold for any rules.

use super::{Action, Field, Fields, MAX_RULES, MAX_WRITTEN, Rule, RuleError, Rules, TooManyRules, Verdict};
use crate::label::{LabelSet, is_label_name};
use proptest::prelude::*;

/// Fields from `NAME=VALUE NAME=VALUE`; `''` is the empty value, and labels have commas between them.
fn fields(text: &str) -> Fields {
    let mut fields = Fields::default();
    for word in text.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap();
        let value = if value == "''" { "" } else { value };
        match Field::find(name).unwrap() {
            Field::SourceLabels => {
                fields.source_labels =
                    Some(value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect());
            }
            Field::Separator => fields.separator = Some(value.into()),
            Field::Regex => fields.regex = Some(value.into()),
            Field::Modulus => fields.modulus = Some(value.parse().unwrap()),
            Field::TargetLabel => fields.target_label = Some(value.into()),
            Field::Replacement => fields.replacement = Some(value.into()),
            Field::Action => fields.action = Some(value.parse().unwrap()),
        }
    }
    fields
}

fn rules(texts: &[&str]) -> Rules {
    let rules = texts.iter().enumerate().map(|(index, text)| Rule::new(index + 1, fields(text)).unwrap());
    Rules::new(rules.collect()).unwrap()
}

fn refusal(text: &str) -> String {
    Rule::new(3, fields(text)).unwrap_err().to_string()
}

/// Labels from `NAME=VALUE NAME=VALUE`.
fn labels(text: &str) -> LabelSet {
    text.split_whitespace().map(|word| word.split_once('=').unwrap()).collect()
}

/// What the rules make of the labels, written as those are; the number of a rule that drops them.
fn applied(texts: &[&str], before: &str) -> String {
    let mut after = labels(before);
    match rules(texts).apply(&mut after) {
        Verdict::Kept => {
            after.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
        }
        Verdict::Dropped { rule } => format!("dropped by {rule}"),
    }
}

/// Rules, labels before, labels after.
type Case = (&'static [&'static str], &'static str, &'static str);

fn check(cases: &[Case]) {
    for (rules, before, after) in cases {
        assert_eq!(applied(rules, before), *after, "{rules:?} on {before}");
    }
}

#[test]
fn replace_writes_what_the_expression_makes_of_the_source() {
    check(&[
        (&["source_labels=a target_label=d"], "a=foo b=bar", "a=foo b=bar d=foo"),
        (
            &["source_labels=a regex=f(.*) target_label=d replacement=ch${1}-ch${1}"],
            "a=foo",
            "a=foo d=choo-choo",
        ),
        (
            &["source_labels=a,b regex=f(.*);(.*)r target_label=a replacement=b${1}${2}m"],
            "a=foo b=bar",
            "a=boobam b=bar",
        ),
        (&["source_labels=a,b separator=@ target_label=c"], "a=1 b=2", "a=1 b=2 c=1@2"),
        (&["source_labels=a,b separator='' target_label=c"], "a=1 b=2", "a=1 b=2 c=12"),
        (&["source_labels=a,x,b target_label=c"], "a=1 b=2", "a=1 b=2 c=1;;2"),
        (&["source_labels=a,a target_label=c"], "a=1", "a=1 c=1;1"),
        // Without source labels, the source is empty, and the default expression matches it.
        (&["target_label=c replacement=x"], "a=1", "a=1 c=x"),
        (&["source_labels='' target_label=c replacement=x"], "a=1", "a=1 c=x"),
        // The action in any case.
        (&["action=Replace target_label=c replacement=x"], "", "c=x"),
        // A rule sees what those before it left.
        (
            &[
                "source_labels=a target_label=b",
                "source_labels=b target_label=c replacement=${1}${1}",
                "source_labels=c target_label=a",
            ],
            "a=x",
            "a=xx b=x c=xx",
        ),
        // Groups by name, and their absence.
        (
            &["source_labels=a regex=(?P<first>.).* target_label=b replacement=${first}$second"],
            "a=xyz",
            "a=xyz b=x",
        ),
        (&["source_labels=a regex=(x)?(y)? target_label=b replacement=<$1><$2>"], "a=y", "a=y b=<><y>"),
        (&["source_labels=a target_label=b replacement=$$1"], "a=x", "a=x b=$1"),
        // `$1x` is a group called so, not the first one and an x.
        (&["source_labels=a target_label=b replacement=$1x"], "a=v b=old", "a=v"),
    ]);
}

#[test]
fn replace_does_nothing_where_the_expression_does_not_match() {
    check(&[
        (&["source_labels=a regex=f target_label=b replacement=x"], "a=foo", "a=foo"),
        (&["source_labels=a regex=.*oo(x) target_label=b"], "a=foo b=old", "a=foo b=old"),
        (&["source_labels=absent regex=.+ target_label=b replacement=x"], "b=old", "b=old"),
        (&["source_labels=a regex='' target_label=b replacement=x"], "a=1", "a=1"),
        (&["source_labels=absent regex='' target_label=b replacement=x"], "a=1", "a=1 b=x"),
    ]);
}

#[test]
fn an_empty_result_removes_the_label() {
    check(&[
        (&["source_labels=absent target_label=b"], "a=1 b=2", "a=1"),
        (&["target_label=b replacement=''"], "a=1 b=2", "a=1"),
        (&["source_labels=a regex=(x)?.* target_label=b"], "a=1 b=2", "a=1"),
        (&["source_labels=absent target_label=c"], "a=1", "a=1"),
        (&["source_labels=a regex=.* target_label=b replacement=$1"], "a=1 b=2", "a=1"),
    ]);
}

#[test]
fn a_target_may_have_references_and_is_skipped_if_it_becomes_no_name() {
    check(&[
        (
            &["source_labels=a regex=some-([^-]+)-([^,]+) target_label=${1} replacement=${2}"],
            "a=some-name-value",
            "a=some-name-value name=value",
        ),
        (
            &["source_labels=a regex=some-([^-]+)-([^,]+) target_label=${3} replacement=${2}"],
            "a=some-name-value",
            "a=some-name-value",
        ),
        (
            &["source_labels=a regex=some-([^-]+)(-[^-]+)-([^,]+) target_label=${1}${3} replacement=${2}"],
            "a=some-name-0-value",
            "a=some-name-0-value namevalue=-0",
        ),
        (&["source_labels=a target_label=$1 replacement=x"], "a=9b", "a=9b"),
        (&["source_labels=a target_label=$1 replacement=x"], "a=b-c", "a=b-c"),
        (&["source_labels=a target_label=x_$1 replacement=y"], "a=9b", "a=9b x_9b=y"),
        (&["source_labels=a target_label=$1"], "a=a", "a=a"),
        (&["source_labels=a target_label=$1 replacement=''"], "a=b b=1", "a=b"),
        (&["source_labels=__meta_kubernetes_pod_label_a regex=(.*);(.*) target_label=$1"], "x=1", "x=1"),
        // Prometheus' example of a map from one list to many labels.
        (
            &[
                "source_labels=__meta_sd_tags regex=(?:.+,|^)path:(/[^,]+).* target_label=__metrics_path__",
                "source_labels=__meta_sd_tags regex=(?:.+,|^)job:([^,]+).* target_label=job",
                "source_labels=__meta_sd_tags regex=(?:.+,|^)label:([^=]+)=([^,]+).* target_label=${1} replacement=${2}",
            ],
            "__meta_sd_tags=path:/secret,job:some-job,label:foo=bar",
            "__meta_sd_tags=path:/secret,job:some-job,label:foo=bar __metrics_path__=/secret foo=bar job=some-job",
        ),
    ]);
}

#[test]
fn keep_and_drop_decide_by_the_expression() {
    check(&[
        (&["action=drop source_labels=a regex=.*o.*"], "a=foo", "dropped by 0"),
        (&["action=drop source_labels=a regex=f|o"], "a=foo", "a=foo"),
        (&["action=drop source_labels=a regex=no-match"], "a=foo", "a=foo"),
        (&["action=keep source_labels=a regex=no-match"], "a=foo", "dropped by 0"),
        (&["action=keep source_labels=a regex=f.*"], "a=foo", "a=foo"),
        (&["action=keep source_labels=a regex=oo"], "a=foo", "dropped by 0"),
        (&["action=keep source_labels=absent regex=.+"], "a=foo", "dropped by 0"),
        (&["action=keep source_labels=absent regex=''"], "a=foo", "a=foo"),
        (&["action=drop source_labels=absent"], "a=foo", "dropped by 0"),
        (&["action=keep"], "a=foo", "a=foo"),
        (&["action=drop"], "a=foo", "dropped by 0"),
        (&["action=keep source_labels=a,b regex=1;2"], "a=1 b=2", "a=1 b=2"),
        // The first one that drops is named, and those behind it do nothing.
        (
            &[
                "action=keep source_labels=a regex=1",
                "target_label=b replacement=2",
                "action=drop source_labels=b regex=2",
                "action=drop",
            ],
            "a=1",
            "dropped by 2",
        ),
    ]);
}

#[test]
fn a_dropped_set_stays_as_the_rule_met_it() {
    let mut set = labels("a=1");
    let verdict = rules(&["target_label=b replacement=2", "action=drop", "target_label=c replacement=3"])
        .apply(&mut set);
    assert_eq!((verdict, set), (Verdict::Dropped { rule: 1 }, labels("a=1 b=2")));
}

#[test]
fn keepequal_and_dropequal_compare_with_a_label() {
    check(&[
        (&["action=keepequal source_labels=a target_label=b"], "a=1 b=1", "a=1 b=1"),
        (&["action=keepequal source_labels=a target_label=b"], "a=1 b=2", "dropped by 0"),
        (&["action=dropequal source_labels=a target_label=b"], "a=1 b=1", "dropped by 0"),
        (&["action=dropequal source_labels=a target_label=b"], "a=1 b=2", "a=1 b=2"),
        // No expression: a dot is a dot.
        (&["action=keepequal source_labels=a target_label=b"], "a=.* b=x", "dropped by 0"),
        // What is not set is empty on both sides.
        (&["action=keepequal source_labels=x target_label=y"], "a=1", "a=1"),
        (&["action=dropequal source_labels=x target_label=y"], "a=1", "dropped by 0"),
        (&["action=keepequal source_labels=a target_label=y"], "a=1", "dropped by 0"),
        (&["action=keepequal target_label=y"], "a=1", "a=1"),
        (&["action=keepequal source_labels=a,b target_label=c"], "a=1 b=2 c=1;2", "a=1 b=2 c=1;2"),
    ]);
}

#[test]
fn hashmod_is_the_end_of_the_md5_sum_in_big_endian() {
    check(&[
        // 73feffa4b7f6bb68 e44cf984c85f6e88
        (
            &["action=hashmod source_labels=a modulus=18446744073709551615 target_label=d"],
            "a=baz",
            "a=baz d=16450797887570275976",
        ),
        (&["action=hashmod source_labels=a modulus=1000 target_label=d"], "a=baz", "a=baz d=976"),
        // 2d00e96b8b7d9e32 ddadc4ed9df31f3e, of foo;bar
        (
            &["action=hashmod source_labels=a,b modulus=1000 target_label=d"],
            "a=foo b=bar",
            "a=foo b=bar d=750",
        ),
        // d41d8cd98f00b204 e9800998ecf8427e, of nothing
        (&["action=hashmod modulus=1000 target_label=d"], "", "d=958"),
        (&["action=hashmod source_labels=a modulus=1 target_label=d"], "a=1", "a=1 d=0"),
    ]);
}

#[test]
fn lowercase_and_uppercase_change_letters() {
    check(&[
        (
            &[
                "action=lowercase source_labels=a target_label=l",
                "action=uppercase source_labels=a target_label=u",
            ],
            "a=bAr123Foo",
            "a=bAr123Foo l=bar123foo u=BAR123FOO",
        ),
        (&["action=uppercase source_labels=a,b separator=x target_label=c"], "a=1 b=y", "a=1 b=y c=1XY"),
        (&["action=lowercase source_labels=absent target_label=a"], "a=1 b=2", "b=2"),
        // The expression is read, and without effect.
        (&["action=lowercase source_labels=a regex=no target_label=a"], "a=X", "a=x"),
    ]);
}

#[test]
fn labelmap_copies_to_other_names() {
    check(&[
        (&["action=labelmap regex=(b.*)"], "a=foo b1=bar b2=baz", "a=foo b1=bar b2=baz"),
        (
            &["action=labelmap regex=(b.*) replacement=bar_${1}"],
            "a=foo b1=bar b2=baz",
            "a=foo b1=bar b2=baz bar_b1=bar bar_b2=baz",
        ),
        (
            &["action=labelmap regex=meta_(ng.*)"],
            "a=foo __meta_my_bar=aaa meta_ng_foo=bbb",
            "__meta_my_bar=aaa a=foo meta_ng_foo=bbb ng_foo=bbb",
        ),
        (
            &["action=labelmap regex=__meta_(my.*) replacement=${1}"],
            "a=foo __meta_my_bar=aaa __meta_my_baz=bbb __meta_other=ccc",
            "__meta_my_bar=aaa __meta_my_baz=bbb __meta_other=ccc a=foo my_bar=aaa my_baz=bbb",
        ),
        (
            &["action=labelmap regex=__meta_kubernetes_pod_label_(.+)"],
            "__meta_kubernetes_pod_label_app=web pod=p",
            "__meta_kubernetes_pod_label_app=web app=web pod=p",
        ),
        // Whole names only.
        (&["action=labelmap regex=b replacement=x"], "ab=1 bc=2", "ab=1 bc=2"),
        // What was copied is not copied again.
        (&["action=labelmap regex=(.+) replacement=x$1"], "a=1", "a=1 xa=1"),
        // Two swap, for all are read first.
        (
            &[
                "action=labelmap regex=x(.*)y replacement=y${1}x",
                "action=labelmap regex=a(.)|b(.) replacement=c$1$2",
            ],
            "a1=1 b2=2",
            "a1=1 b2=2 c1=1 c2=2",
        ),
        // Of two that go to one name, the later wins.
        (&["action=labelmap regex=a. replacement=x"], "a1=1 a2=2 x=0", "a1=1 a2=2 x=2"),
        // No label can have such a name.
        (&["action=labelmap regex=a_(.+)"], "a_9=1 a_b=2", "a_9=1 a_b=2 b=2"),
        (&["action=labelmap regex=a replacement=$2"], "a=1", "a=1"),
    ]);
}

#[test]
fn labeldrop_and_labelkeep_go_by_name() {
    check(&[
        (&["action=labeldrop regex=(b.*)"], "a=foo b1=bar b2=baz", "a=foo"),
        (&["action=labelkeep regex=(b.*)"], "a=foo b1=bar b2=baz", "b1=bar b2=baz"),
        (&["action=labeldrop regex=b"], "a=foo b1=bar", "a=foo b1=bar"),
        (&["action=labelkeep regex=none"], "a=foo", ""),
        (&["action=labeldrop"], "a=foo __name__=x", ""),
        (&["action=labelkeep"], "a=foo", "a=foo"),
        (
            &["action=labeldrop regex=a|b separator=; replacement=$1 target_label='' modulus=0"],
            "a=1 b=2 c=3",
            "c=3",
        ),
    ]);
}

#[test]
fn an_expression_spans_lines() {
    let mut set: LabelSet = [("a", "foo\nbar")].into_iter().collect();
    rules(&[
        "source_labels=a target_label=b",
        "source_labels=a regex=(.*)bar target_label=c replacement=<$1>",
    ])
    .apply(&mut set);
    let expected = [("a", "foo\nbar"), ("b", "foo\nbar"), ("c", "<foo\n>")].into_iter().collect();
    assert_eq!(set, expected);
}

#[test]
fn rules_that_make_no_sense_are_refused_by_number_and_field() {
    let alone = "takes source_labels and target_label alone";
    for (text, expected) in [
        ("action=hashmod source_labels=a target_label=d", "modulus: the action hashmod needs one".to_owned()),
        ("action=hashmod source_labels=a target_label=d modulus=0", "modulus: 0 is no whole number from 1 on".into()),
        ("action=hashmod source_labels=a modulus=10", "target_label: the action hashmod needs one".into()),
        ("action=hashmod modulus=10 target_label=a-b", "target_label: \"a-b\" is no label name: letters, digits and _ only, no digit first".into()),
        ("action=hashmod modulus=10 target_label=$1", "target_label: \"$1\" is no label name: letters, digits and _ only, no digit first".into()),
        ("source_labels=a", "target_label: the action replace needs one".into()),
        ("target_label=''", "target_label: the action replace needs one".into()),
        ("target_label=9", "target_label: \"9\" is no label name: letters, digits and _ only, no digit first".into()),
        ("target_label=${1", "target_label: \"${1\" cannot become a label name: letters, digits, _ and references like ${1} only, no digit first".into()),
        ("target_label=a$$", "target_label: \"a$$\" cannot become a label name: letters, digits, _ and references like ${1} only, no digit first".into()),
        ("action=lowercase source_labels=a", "target_label: the action lowercase needs one".into()),
        ("action=uppercase target_label=${1}", "target_label: \"${1}\" is no label name: letters, digits and _ only, no digit first".into()),
        ("action=lowercase target_label=a replacement=x", "replacement: the action lowercase takes none".into()),
        ("action=uppercase target_label=a replacement=''", "replacement: the action uppercase takes none".into()),
        ("action=keepequal source_labels=a", "target_label: the action keepequal needs one".into()),
        ("action=dropequal source_labels=a target_label=$1", "target_label: \"$1\" is no label name: letters, digits and _ only, no digit first".into()),
        ("action=keepequal target_label=a regex=(.*)", format!("regex: the action keepequal {alone}")),
        ("action=dropequal target_label=a separator=,", format!("separator: the action dropequal {alone}")),
        ("action=dropequal target_label=a modulus=1", format!("modulus: the action dropequal {alone}")),
        ("action=keepequal target_label=a replacement=x", format!("replacement: the action keepequal {alone}")),
        ("action=labeldrop regex=a source_labels=a", "source_labels: the action labeldrop takes regex alone".into()),
        ("action=labelkeep source_labels=''", "source_labels: the action labelkeep takes regex alone".into()),
        ("action=labelkeep target_label=a", "target_label: the action labelkeep takes regex alone".into()),
        ("action=labelkeep separator=''", "separator: the action labelkeep takes regex alone".into()),
        ("action=labeldrop modulus=8", "modulus: the action labeldrop takes regex alone".into()),
        ("action=labeldrop replacement=x", "replacement: the action labeldrop takes regex alone".into()),
        ("action=labelmap replacement=''", "replacement: \"\" cannot become a label name: letters, digits, _ and references like ${1} only, no digit first".into()),
        ("action=labelmap replacement=a-$1", "replacement: \"a-$1\" cannot become a label name: letters, digits, _ and references like ${1} only, no digit first".into()),
        ("action=keep source_labels=a-b", "source_labels: \"a-b\" is no label name: letters, digits and _ only, no digit first".into()),
        (r"action=keep regex=\p{Greek}", r#"regex: "\\p{Greek}" is no regular expression: Unicode character classes are not supported"#.into()),
        (r"action=lowercase target_label=a regex=(", r#"regex: "(" is no regular expression: found open group without closing ')'"#.into()),
        ("target_label=a replacement=$1é", r#"replacement: 'é' behind "$1" is unclear: write ${NAME} in braces, with ASCII letters alone"#.into()),
    ] {
        assert_eq!(refusal(text), format!("rule 3: {expected}"), "{text}");
    }
    for text in [
        "action=keepequal target_label=a separator=; replacement=$1 modulus=0",
        "action=keep target_label=9 modulus=3",
        "action=lowercase target_label=a replacement=$1",
    ] {
        assert!(Rule::new(1, fields(text)).is_ok(), "{text}");
    }
}

#[test]
fn the_number_of_rules_and_of_labels_is_bounded() {
    let rule = Rule::new(1, fields("action=keep")).unwrap();
    assert!(Rules::new(vec![rule.clone(); MAX_RULES]).is_ok());
    assert_eq!(Rules::new(vec![rule; MAX_RULES + 1]), Err(TooManyRules));
    let many = |count| Fields { source_labels: Some(vec!["a".into(); count]), ..fields("action=keep") };
    assert!(Rule::new(1, many(256)).is_ok());
    assert_eq!(
        Rule::new(1, many(257)).unwrap_err().to_string(),
        "rule 1: source_labels: has over 256 labels"
    );
}

#[test]
fn rules_that_double_a_value_do_not_take_all_memory() {
    let mut set: LabelSet = [("a", "x".repeat(MAX_WRITTEN / 8))].into_iter().collect();
    assert_eq!(rules(&["source_labels=a target_label=a replacement=$1$1"; 4]).apply(&mut set), Verdict::Kept);
    assert_eq!(set.get("a").map(str::len), Some(MAX_WRITTEN / 2));
}

#[test]
fn a_label_is_removed_even_if_no_more_can_be_written() {
    let mut set: LabelSet =
        [("a", "x".repeat(MAX_WRITTEN)), ("secret", "y".to_owned())].into_iter().collect();
    let all = rules(&["source_labels=a target_label=b replacement=$1", "target_label=secret replacement="]);
    assert_eq!(all.apply(&mut set), Verdict::Kept);
    assert_eq!((set.get("b"), set.get("secret")), (None, None));
}

#[test]
fn rules_that_double_the_labels_do_not_take_all_memory() {
    let mut set: LabelSet = [("a", "x".repeat(MAX_WRITTEN / 8))].into_iter().collect();
    let double: Vec<_> = (0..5).map(|index| format!("action=labelmap replacement=x{index}_$1")).collect();
    let double: Vec<&str> = double.iter().map(String::as_str).collect();
    assert_eq!(rules(&double).apply(&mut set), Verdict::Kept);
    assert_eq!(set.iter().count(), 8);
}

#[test]
fn a_rule_is_shown_in_one_line() {
    for (text, expected) in [
        ("target_label=a", "replace target_label=a"),
        ("action=drop source_labels=a,b regex=x.*", "drop source_labels=[a,b] regex=x.*"),
        (
            "action=hashmod source_labels=a modulus=8 target_label=s separator=''",
            "hashmod source_labels=[a] modulus=8 separator=\"\" target_label=s",
        ),
        ("target_label=a replacement=\"", "replace target_label=a replacement=\"\\\"\""),
    ] {
        assert_eq!(Rule::new(1, fields(text)).unwrap().to_string(), expected);
    }
    let broken = Fields { regex: Some("a\nb c".into()), ..fields("action=keep") };
    assert_eq!(Rule::new(1, broken).unwrap().to_string(), r#"keep regex="a\nb c""#);
}

#[test]
fn what_rules_read_is_known() {
    let rules = rules(&[
        "action=keep source_labels=namespace,pod",
        "action=keepequal source_labels=a target_label=__meta_node",
        "source_labels=from target_label=written",
        "action=labelmap regex=__meta_kubernetes_pod_label_(.+)",
        "action=labeldrop regex=dropped",
    ]);
    for (name, expected) in [
        ("namespace", true),
        ("pod", true),
        ("a", true),
        ("__meta_node", true),
        ("from", true),
        ("written", false),
        ("__meta_kubernetes_pod_label_app", true),
        ("__meta_kubernetes_pod_label_", false),
        ("dropped", false),
        ("names", false),
    ] {
        assert_eq!(rules.reads(name), expected, "{name}");
    }
    for (prefix, expected) in [
        ("__meta_kubernetes_pod_label_", true),
        ("__meta_kubernetes_pod_annotation_", false),
        ("__meta_kubernetes_", true),
        ("__meta_env_var_", false),
        ("__meta_no", true),
        ("__meta_node_", false),
        ("", true),
    ] {
        assert_eq!(rules.reads_prefix(prefix), expected, "{prefix}");
    }
    assert!(!Rules::default().reads_prefix(""));
}

#[test]
fn no_rules_keep_everything() {
    assert!(Rules::default().is_empty());
    assert_eq!(applied(&[], "a=1"), "a=1");
    let rules = rules(&["action=drop"]);
    assert!(!rules.is_empty());
    assert_eq!(rules.get(0).map(ToString::to_string).as_deref(), Some("drop"));
    assert_eq!(rules.get(1), None);
    assert_eq!(rules.clone(), rules);
}

fn any_labels() -> impl Strategy<Value = LabelSet> {
    proptest::collection::btree_map("[ab_][ab1]{0,2}|__meta_[ab]{1,2}", "[aAbß1 \n]{0,4}", 0..6)
        .prop_map(|labels| labels.into_iter().collect())
}

fn any_regex() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ab_.()|*+?1]{0,6}",
        Just("(.*)".to_owned()),
        Just("__meta_(.+)".to_owned()),
        Just("(a)?(b)?(.*)".to_owned()),
        any::<String>(),
    ]
}

fn any_fields() -> impl Strategy<Value = Fields> {
    let action = prop::sample::select(vec![
        Action::Replace,
        Action::Keep,
        Action::Drop,
        Action::KeepEqual,
        Action::DropEqual,
        Action::HashMod,
        Action::LabelMap,
        Action::LabelDrop,
        Action::LabelKeep,
        Action::Lowercase,
        Action::Uppercase,
    ]);
    let names = prop::collection::vec("[ab_][ab1]{0,2}|__meta_[ab]{1,2}", 0..3);
    (
        prop::option::of(names),
        prop::option::of("[;a]{0,2}"),
        prop::option::of(any_regex()),
        prop::option::of(0_u64..5),
        prop::option::of("[ab_][ab1]{0,2}|[ab${}12]{0,6}"),
        prop::option::of(prop_oneof!["[ab${}12]{0,6}".boxed(), any::<String>().boxed()]),
        prop::option::of(action),
    )
        .prop_map(|(source_labels, separator, regex, modulus, target_label, replacement, action)| {
            Fields { source_labels, separator, regex, modulus, target_label, replacement, action }
        })
}

/// Those of the fields that make rules.
fn any_rules() -> impl Strategy<Value = Rules> {
    prop::collection::vec(any_fields(), 1..24).prop_map(|all| {
        let good = all.into_iter().filter_map(|fields| Rule::new(1, fields).ok());
        Rules::new(good.collect()).unwrap()
    })
}

proptest! {
    #[test]
    fn any_rules_leave_labels_that_may_be_labels(rules in any_rules(), mut set in any_labels()) {
        let before = set.bytes();
        let verdict = rules.apply(&mut set);
        prop_assert!(set.iter().all(|(name, value)| is_label_name(name) && !value.is_empty()), "{}", set);
        prop_assert!(set.bytes() <= before + MAX_WRITTEN);
        if let Verdict::Dropped { rule } = verdict {
            prop_assert!(rules.get(rule).is_some());
        }
        let shown = rules.iter().map(ToString::to_string).collect::<String>();
        prop_assert!(!shown.chars().any(char::is_control), "{:?}", shown);
    }

    #[test]
    fn keep_and_drop_are_complements(regex in any_regex(), set in any_labels()) {
        let of = |action| {
            let fields = Fields {
                source_labels: Some(vec!["a".into(), "b".into()]),
                regex: Some(regex.clone()),
                action: Some(action),
                ..Fields::default()
            };
            let rule: Result<Rule, RuleError> = Rule::new(1, fields);
            rule.ok().map(|rule| Rules::new(vec![rule]).unwrap().apply(&mut set.clone()))
        };
        let (keep, drop) = (of(Action::Keep), of(Action::Drop));
        prop_assert_eq!(keep.is_some(), drop.is_some());
        prop_assert!(keep.is_none() || keep != drop, "{:?}", keep);
    }

    #[test]
    fn labeldrop_and_labelkeep_share_the_labels_out(regex in any_regex(), set in any_labels()) {
        let of = |action| {
            let fields = Fields { regex: Some(regex.clone()), action: Some(action), ..Fields::default() };
            let mut set = set.clone();
            Rules::new(vec![Rule::new(1, fields).ok()?]).unwrap().apply(&mut set);
            Some(set)
        };
        if let (Some(dropped), Some(kept)) = (of(Action::LabelDrop), of(Action::LabelKeep)) {
            let both: LabelSet = dropped.iter().chain(kept.iter()).collect();
            prop_assert_eq!(both, set);
            prop_assert!(kept.iter().all(|(name, _)| dropped.get(name).is_none()));
        }
    }

    #[test]
    fn what_is_not_read_makes_no_difference(rules in any_rules(), set in any_labels()) {
        for (name, _) in set.iter().filter(|(name, _)| !rules.reads(name)) {
            let (mut with, mut without) = (set.clone(), set.clone());
            without.set(name, "");
            prop_assert_eq!(rules.apply(&mut with), rules.apply(&mut without));
            with.set(name, "");
            without.set(name, "");
            prop_assert_eq!(with, without, "{}", name);
        }
    }

    #[test]
    fn who_reads_a_label_reads_its_prefix(rules in any_rules(), name in "[ab_][ab1]{0,2}|__meta_[ab]{1,2}", length in 0_usize..9) {
        if rules.reads(&name) {
            let prefix = &name[..length.min(name.len())];
            prop_assert!(rules.reads_prefix(prefix), "{}", prefix);
        }
    }
}
