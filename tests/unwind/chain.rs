//! What a stack has to look like, as a line of text.
//!
//! ```text
//! bottom (three two one)*20 main @start
//! ```
//! Frames stand from the leaf outwards, and nothing may be missing or stand between.
//!
//! | text       | stands for                                                            |
//! |------------|-----------------------------------------------------------------------|
//! | `a`        | the function `a`, or an instance or method of it in C++ and Rust      |
//! | `a\|b`     | one of them                                                           |
//! | `~a`       | any function with `a` in its name                                     |
//! | `a*3`      | three times; also of a group in parentheses                           |
//! | `a?` `a+`  | perhaps; once or more                                                 |
//! | `...`      | any frames                                                            |
//! | `@start`   | what calls `main`, out to the process's first instruction             |
//! | `@thread`  | what calls a thread's function                                        |
//!
//! A place without a symbol has the name of its file, and outside `.text` that of its section ([`Names`]).
//!
//! [`Names`]: super::names::Names

/// What stands for `@start` and `@thread`: with the symbols of a static program, or the exported ones of
/// Debian's libc.
const MACROS: [(&str, &str); 2] = [
    ("@start", "__libc_start_call_main|libc.so.6 __libc_start_main|__libc_start_main_impl|libc.so.6 _start"),
    ("@thread", "start_thread|libc.so.6 clone3|__clone3|clone|__clone|libc.so.6"),
];

/// The names that one frame has: functions may share an address.
pub(crate) type FrameNames = Vec<String>;

/// Stacks of one shape.
#[derive(Debug)]
pub(crate) struct Chain {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
struct Step {
    names: Vec<Name>,
    /// There may be none.
    optional: bool,
    /// There may be more.
    repeated: bool,
}

#[derive(Clone, Debug)]
enum Name {
    Is(String),
    Contains(String),
    Any,
}

impl Chain {
    /// Reads a line of text, which is right or a fault of the table.
    pub(crate) fn parse(text: &str) -> Self {
        let text = MACROS.iter().fold(text.to_owned(), |text, (name, full)| text.replace(name, full));
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        // Of a count, the parenthesis before it is a word of its own.
        let mut groups = vec![Vec::new()];
        let mut last_group = None;
        for word in spaced.split_whitespace() {
            match (word, last_group.take()) {
                ("(", None) => groups.push(Vec::new()),
                (")", None) => last_group = Some(groups.pop().unwrap()),
                (count, Some(group)) => {
                    let count = count.strip_prefix('*').unwrap().parse().unwrap();
                    groups.last_mut().unwrap().extend(std::iter::repeat_n(group, count).flatten());
                }
                (word, None) => groups.last_mut().unwrap().extend(steps(word)),
            }
        }
        assert!(groups.len() == 1 && last_group.is_none(), "{text:?} has an open group");
        Self { steps: groups.remove(0) }
    }

    /// Whether a stack has this shape, leaf first.
    pub(crate) fn matches(&self, stack: &[FrameNames]) -> bool {
        // Bit n: the frames so far can be the first n steps.
        let mut reached = vec![false; self.steps.len() + 1];
        reached[0] = true;
        self.skip_optional(&mut reached);
        for frame in stack {
            let mut next = vec![false; reached.len()];
            for (at, step) in self.steps.iter().enumerate() {
                if reached[at] && step.is(frame) {
                    next[at + 1] = true;
                    next[at] |= step.repeated;
                }
            }
            self.skip_optional(&mut next);
            reached = next;
        }
        reached[self.steps.len()]
    }

    fn skip_optional(&self, reached: &mut [bool]) {
        for (at, step) in self.steps.iter().enumerate() {
            reached[at + 1] |= reached[at] && step.optional;
        }
    }
}

/// The steps that one word stands for.
fn steps(word: &str) -> Vec<Step> {
    if word == "..." {
        return vec![Step { names: vec![Name::Any], optional: true, repeated: true }];
    }
    let (names, count) = match word.rsplit_once('*') {
        Some((names, count)) => (names, count.parse().unwrap()),
        None => (word, 1),
    };
    let (names, optional, repeated) = match (names.strip_suffix('?'), names.strip_suffix('+')) {
        (Some(names), _) => (names, true, false),
        (None, Some(names)) => (names, false, true),
        (None, None) => (names, false, false),
    };
    let name = |name: &str| match name.strip_prefix('~') {
        Some(part) => Name::Contains(part.to_owned()),
        None => Name::Is(name.to_owned()),
    };
    let names: Vec<Name> = names.split('|').map(name).collect();
    vec![Step { names, optional, repeated }; count]
}

impl Step {
    fn is(&self, frame: &FrameNames) -> bool {
        self.names.iter().any(|name| match name {
            Name::Any => true,
            Name::Is(word) => frame.iter().any(|symbol| is_function(symbol, word)),
            Name::Contains(part) => frame.iter().any(|symbol| symbol.contains(part)),
        })
    }
}

/// Whether a symbol is a function's, plain or mangled: both manglings write a name after its length.
fn is_function(symbol: &str, word: &str) -> bool {
    let is_mangled = symbol.starts_with("_Z") || symbol.starts_with("_R");
    let whole_length = |at: usize| !symbol[..at].ends_with(|before: char| before.is_ascii_digit());
    let written = format!("{}{word}", word.len());
    symbol == word || is_mangled && symbol.match_indices(&written).any(|(at, _)| whole_length(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(chain: &str, stack: &str) -> bool {
        let stack: Vec<FrameNames> =
            stack.split_whitespace().map(|names| names.split('|').map(str::to_owned).collect()).collect();
        Chain::parse(chain).matches(&stack)
    }

    #[test]
    fn a_chain_matches_whole_stacks_alone() {
        let cases = [
            ("a b", "a b", true),
            ("a b", "a", false),
            ("a b", "b", false),
            ("a b", "a b c", false),
            ("a b", "a x b", false),
            ("a|b c", "b c", true),
            ("a|b c", "x|b c", true),
            ("a|b c", "a b c", false),
            ("a? b", "b", true),
            ("a? b", "a b", true),
            ("a? b", "a a b", false),
            ("a+ b", "b", false),
            ("a+ b", "a b", true),
            ("a+ b", "a a a b", true),
            ("a*3 b", "a a a b", true),
            ("a*3 b", "a a b", false),
            ("a (c b)*2 d", "a c b c b d", true),
            ("a (c b)*2 d", "a c b c d", false),
            ("a ... d", "a d", true),
            ("a ... d", "a b c d", true),
            ("a ... d", "a b c", false),
            ("~eg b", "begin b", true),
            ("leaf", "_ZN5calls4leaf17h0123456789abcdefE", true),
            ("leaf", "_ZN5calls14leaf_of_a_tree17h0123456789abcdefE", false),
            ("main @start", "main libc.so.6 __libc_start_main _start", true),
            ("main @start", "main libc.so.6 _start", false),
            ("a @thread", "a start_thread clone3", true),
        ];
        for (chain, stack, expected) in cases {
            assert_eq!(matches(chain, stack), expected, "{chain:?} and {stack:?}");
        }
    }
}
