//! Random expressions: one tree has one form however it is spelled, and no two trees have the same.
//!
//! A tree is spelled as servers print it, with brackets around everything and names in backticks, and as people write it,
//! with as few brackets as the precedence of MySQL's operators allows. Then each of its nodes is changed, one at a time: an
//! operator, a literal, a letter's case, a name, the order of two operands.

use proptest::collection::vec;
use proptest::prelude::*;

use super::normal;

/// Names that mean something else where they stand bare, or look as if they did, and plain ones.
const NAMES: [&str; 22] = [
    "a",
    "b",
    "amount",
    "binary",
    "both",
    "case",
    "char",
    "character",
    "charset",
    "collate",
    "cast",
    "date",
    "escape",
    "for",
    "interval",
    "key",
    "null",
    "set",
    "text",
    "trailing",
    "using",
    "_utf8mb4",
];

/// Those that nobody need quote.
const BARE: [&str; 6] = ["a", "b", "amount", "charset", "escape", "text"];

/// Operators between two operands, and how tightly they bind.
const OPERATORS: [(&str, u8); 21] = [
    ("or", 1),
    ("xor", 2),
    ("and", 3),
    ("=", 5),
    ("<>", 5),
    ("<", 5),
    ("<=", 5),
    (">", 5),
    (">=", 5),
    ("<=>", 5),
    ("|", 6),
    ("&", 7),
    ("<<", 8),
    (">>", 8),
    ("+", 9),
    ("-", 9),
    ("*", 10),
    ("/", 10),
    ("div", 10),
    ("%", 10),
    ("^", 11),
];

const NOT: u8 = 4;
const COMPARISON: u8 = 5;
const BIT_OR: u8 = 6;
const SIGN: u8 = 12;
const COLLATE: u8 = 13;
const ATOM: u8 = 14;

#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Name(usize),
    Number(u32),
    Text(String),
    Null,
    Pair(usize, Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    Minus(Box<Tree>),
    Inverted(Box<Tree>),
    IsNull(Box<Tree>, bool),
    In(Box<Tree>, Vec<Tree>),
    Like(Box<Tree>, Box<Tree>),
    Call(usize, Vec<Tree>),
    Case(Box<Tree>, Box<Tree>, Box<Tree>),
    Cast(Box<Tree>, usize),
    Collated(Box<Tree>, usize),
}

const FUNCTIONS: [&str; 5] = ["coalesce", "concat", "greatest", "json_valid", "least"];
const TYPES: [&str; 4] = ["signed", "char(3)", "char(4)", "decimal(10,2)"];
const COLLATIONS: [&str; 2] = ["utf8mb4_bin", "utf8mb4_general_ci"];

/// How a tree is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// As servers print it.
    Bracketed,
    /// As people write it.
    Minimal,
}

impl Tree {
    /// How tightly its outermost operation binds.
    fn binds(&self) -> u8 {
        match self {
            Self::Pair(operator, ..) => OPERATORS[*operator].1,
            Self::Not(_) => NOT,
            Self::IsNull(..) | Self::In(..) | Self::Like(..) => COMPARISON,
            Self::Minus(_) | Self::Inverted(_) => SIGN,
            Self::Collated(..) => COLLATE,
            _ => ATOM,
        }
    }

    /// Spelled as an operand that must bind at least so tightly.
    fn operand(&self, spelling: Spelling, least: u8) -> String {
        let text = self.spelled(spelling);
        let is_atom = self.binds() == ATOM;
        match spelling {
            Spelling::Bracketed if !is_atom => format!("({text})"),
            Spelling::Minimal if self.binds() < least => format!("({text})"),
            _ => text,
        }
    }

    fn spelled(&self, spelling: Spelling) -> String {
        let list = |items: &[Self]| items.iter().map(|item| item.operand(spelling, 0)).collect::<Vec<_>>().join(",");
        match self {
            Self::Name(at) if spelling == Spelling::Minimal && BARE.contains(&NAMES[*at]) => NAMES[*at].to_owned(),
            Self::Name(at) => format!("`{}`", NAMES[*at]),
            Self::Number(value) => value.to_string(),
            Self::Text(value) => format!("'{}'", value.replace('\\', r"\\").replace('\'', "''")),
            Self::Null if spelling == Spelling::Minimal => "null".to_owned(),
            Self::Null => "NULL".to_owned(),
            Self::Pair(operator, left, right) => {
                let (sign, binds) = OPERATORS[*operator];
                format!("{} {sign} {}", left.operand(spelling, binds), right.operand(spelling, binds + 1))
            }
            Self::Not(inner) => format!("not {}", inner.operand(spelling, NOT)),
            Self::Minus(inner) => format!("-{}", inner.operand(spelling, SIGN)),
            Self::Inverted(inner) => format!("~{}", inner.operand(spelling, SIGN)),
            Self::IsNull(inner, not) => {
                format!("{} is {}null", inner.operand(spelling, COMPARISON), if *not { "not " } else { "" })
            }
            Self::In(inner, items) => format!("{} in ({})", inner.operand(spelling, COMPARISON), list(items)),
            Self::Like(inner, pattern) => {
                format!("{} like {}", inner.operand(spelling, COMPARISON), pattern.operand(spelling, BIT_OR))
            }
            Self::Call(function, arguments) => format!("{}({})", FUNCTIONS[*function], list(arguments)),
            Self::Case(condition, then, otherwise) => format!(
                "case when {} then {} else {} end",
                condition.operand(spelling, 0),
                then.operand(spelling, 0),
                otherwise.operand(spelling, 0)
            ),
            Self::Cast(inner, kind) => {
                let charset = if spelling == Spelling::Bracketed && TYPES[*kind].starts_with("char") {
                    " charset utf8mb4"
                } else {
                    ""
                };
                format!("cast({} as {}{charset})", inner.operand(spelling, 0), TYPES[*kind])
            }
            Self::Collated(inner, collation) => {
                format!("{} collate {}", inner.operand(spelling, COLLATE), COLLATIONS[*collation])
            }
        }
    }

    /// What the tree means: chains of `and` and of `or` have no brackets, a sign before a number is its own.
    fn meaning(&self) -> String {
        match self {
            Self::Pair(operator, ..) if matches!(OPERATORS[*operator].0, "and" | "or") => {
                let mut operands = Vec::new();
                self.chain(*operator, &mut operands);
                format!("[{} {}]", OPERATORS[*operator].0, operands.join("; "))
            }
            Self::Minus(inner) => match inner.meaning().parse::<i64>() {
                Ok(number) => (-number).to_string(),
                Err(_) => format!("[minus {}]", inner.meaning()),
            },
            Self::Number(value) => value.to_string(),
            // Both are constants to the server, which prints the one for the other.
            Self::Pair(operator, left, right) if OPERATORS[*operator].0 == "=" => {
                match (left.meaning().as_str(), right.meaning().as_str()) {
                    ("1", "1") => "true".to_owned(),
                    ("1", "0") | ("0", "1") => "false".to_owned(),
                    (left, right) => format!("[= {left}; {right}]"),
                }
            }
            Self::Pair(operator, left, right) => {
                format!("[{} {}; {}]", OPERATORS[*operator].0, left.meaning(), right.meaning())
            }
            Self::Case(condition, then, otherwise) => {
                format!("[case {}; {}; {}]", condition.meaning(), then.meaning(), otherwise.meaning())
            }
            other => {
                let below: Vec<String> = other.children().into_iter().map(Self::meaning).collect();
                format!("[{} {}]", other.word(), below.join("; "))
            }
        }
    }

    fn chain(&self, of: usize, operands: &mut Vec<String>) {
        match self {
            Self::Pair(operator, left, right) if *operator == of => {
                left.chain(of, operands);
                right.chain(of, operands);
            }
            other => operands.push(other.meaning()),
        }
    }

    /// The node without what is below it.
    fn word(&self) -> String {
        match self {
            Self::Name(at) => format!("name {}", NAMES[*at]),
            Self::Text(value) => format!("text {value:?}"),
            Self::IsNull(_, not) => format!("is null {not}"),
            Self::In(_, items) => format!("in {}", items.len()),
            Self::Call(function, _) => FUNCTIONS[*function].to_owned(),
            Self::Cast(_, kind) => format!("cast {}", TYPES[*kind]),
            Self::Collated(_, collation) => COLLATIONS[*collation].to_owned(),
            Self::Null => "null".to_owned(),
            Self::Not(_) => "not".to_owned(),
            Self::Inverted(_) => "inverted".to_owned(),
            Self::Like(..) => "like".to_owned(),
            Self::Number(_) | Self::Pair(..) | Self::Minus(_) | Self::Case(..) => String::new(),
        }
    }

    fn children(&self) -> Vec<&Self> {
        match self {
            Self::Name(_) | Self::Number(_) | Self::Text(_) | Self::Null => Vec::new(),
            Self::Pair(_, left, right) | Self::Like(left, right) => vec![left, right],
            Self::Not(inner)
            | Self::Minus(inner)
            | Self::Inverted(inner)
            | Self::IsNull(inner, _)
            | Self::Cast(inner, _)
            | Self::Collated(inner, _) => vec![inner],
            Self::In(inner, items) => std::iter::once(&**inner).chain(items).collect(),
            Self::Call(_, arguments) => arguments.iter().collect(),
            Self::Case(condition, then, otherwise) => vec![condition, then, otherwise],
        }
    }

    fn child_mut(&mut self, at: usize) -> &mut Self {
        match self {
            Self::Name(_) | Self::Number(_) | Self::Text(_) | Self::Null => unreachable!("it has none"),
            Self::Pair(_, left, right) | Self::Like(left, right) => {
                if at == 0 {
                    left
                } else {
                    right
                }
            }
            Self::Not(inner)
            | Self::Minus(inner)
            | Self::Inverted(inner)
            | Self::IsNull(inner, _)
            | Self::Cast(inner, _)
            | Self::Collated(inner, _) => inner,
            Self::In(inner, items) => {
                if at == 0 {
                    inner
                } else {
                    &mut items[at - 1]
                }
            }
            Self::Call(_, arguments) => &mut arguments[at],
            Self::Case(condition, then, otherwise) => {
                [condition, then, otherwise].into_iter().nth(at).expect("one of three")
            }
        }
    }

    /// The node, changed in one thing.
    fn altered(&self) -> Vec<Self> {
        let next = |at: usize, of: usize| (at + 1) % of;
        let mut altered = vec![Self::Not(Box::new(self.clone())), Self::Null];
        match self.clone() {
            Self::Name(at) => altered.push(Self::Name(next(at, NAMES.len()))),
            Self::Number(value) => altered.push(Self::Number(value + 1)),
            Self::Text(value) => {
                altered.push(Self::Text(format!("{value} ")));
                altered.push(Self::Text(value.to_uppercase()));
                altered.push(Self::Text(value.to_lowercase()));
            }
            Self::Pair(operator, left, right) => {
                altered.push(Self::Pair(next(operator, OPERATORS.len()), left.clone(), right.clone()));
                altered.push(Self::Pair(operator, right.clone(), left.clone()));
                altered.push(*left.clone());
                if let Self::Pair(inner, first, second) = *left {
                    // `(a ∘ b) ∘ c` becomes `a ∘ (b ∘ c)`.
                    altered.push(Self::Pair(inner, first, Box::new(Self::Pair(operator, second, right))));
                }
            }
            Self::Minus(inner) => altered.push(Self::Inverted(inner)),
            Self::IsNull(inner, not) => altered.push(Self::IsNull(inner, !not)),
            Self::In(inner, mut items) => {
                items.push(Self::Number(77));
                altered.push(Self::In(inner, items));
            }
            Self::Like(value, pattern) => altered.push(Self::Like(pattern, value)),
            Self::Call(function, mut arguments) => {
                altered.push(Self::Call(next(function, FUNCTIONS.len()), arguments.clone()));
                arguments.reverse();
                altered.push(Self::Call(function, arguments));
            }
            Self::Case(condition, then, otherwise) => altered.push(Self::Case(condition, otherwise, then)),
            Self::Cast(inner, kind) => altered.push(Self::Cast(inner, next(kind, TYPES.len()))),
            Self::Collated(inner, collation) => altered.push(Self::Collated(inner, next(collation, COLLATIONS.len()))),
            Self::Not(_) | Self::Inverted(_) | Self::Null => {}
        }
        altered
    }

    /// All trees that differ from this one in one node.
    fn neighbours(&self) -> Vec<Self> {
        let mut found = self.altered();
        for at in 0..self.children().len() {
            for changed in self.children()[at].neighbours() {
                let mut tree = self.clone();
                *tree.child_mut(at) = changed;
                found.push(tree);
            }
        }
        found
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        4 => (0..NAMES.len()).prop_map(Tree::Name),
        2 => (0..20u32).prop_map(Tree::Number),
        2 => "[aA'\\\\%_ ]{0,3}".prop_map(Tree::Text),
        1 => Just(Tree::Null),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            6 => (0..OPERATORS.len(), boxed.clone(), boxed.clone()).prop_map(|(o, l, r)| Tree::Pair(o, l, r)),
            1 => boxed.clone().prop_map(Tree::Not),
            1 => boxed.clone().prop_map(Tree::Minus),
            1 => boxed.clone().prop_map(Tree::Inverted),
            1 => (boxed.clone(), any::<bool>()).prop_map(|(inner, not)| Tree::IsNull(inner, not)),
            1 => (boxed.clone(), vec(inner.clone(), 1..4)).prop_map(|(inner, items)| Tree::In(inner, items)),
            1 => (boxed.clone(), boxed.clone()).prop_map(|(value, pattern)| Tree::Like(value, pattern)),
            1 => (0..FUNCTIONS.len(), vec(inner, 1..4)).prop_map(|(function, list)| Tree::Call(function, list)),
            1 => (boxed.clone(), boxed.clone(), boxed.clone()).prop_map(|(c, t, e)| Tree::Case(c, t, e)),
            1 => (boxed.clone(), 0..TYPES.len()).prop_map(|(inner, kind)| Tree::Cast(inner, kind)),
            1 => (boxed, 0..COLLATIONS.len()).prop_map(|(inner, collation)| Tree::Collated(inner, collation)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_has_one_form_however_it_is_spelled(tree in trees()) {
        let (bracketed, minimal) = (tree.spelled(Spelling::Bracketed), tree.spelled(Spelling::Minimal));
        prop_assert_eq!(normal(&bracketed), normal(&minimal), "{} and {}", bracketed, minimal);
    }

    #[test]
    fn trees_that_mean_something_else_have_other_forms(tree in trees()) {
        let (written, meaning) = (tree.spelled(Spelling::Minimal), tree.meaning());
        let form = normal(&written);
        for other in tree.neighbours() {
            let printed = other.spelled(Spelling::Bracketed);
            prop_assert_eq!(
                normal(&printed) == form, other.meaning() == meaning,
                "{} and {}: {} and {}", written, printed, form, normal(&printed)
            );
        }
    }

    #[test]
    fn a_name_in_backticks_is_never_dropped(at in 0..NAMES.len(), operator in 3..OPERATORS.len(), number in 0..9u32) {
        let tree = |at| Tree::Pair(operator, Box::new(Tree::Name(at)), Box::new(Tree::Number(number)));
        let form = normal(&tree(at).spelled(Spelling::Bracketed));
        prop_assert!(form.contains(NAMES[at]), "{}: {}", NAMES[at], form);
        for other in (0..NAMES.len()).filter(|other| *other != at) {
            prop_assert_ne!(&normal(&tree(other).spelled(Spelling::Bracketed)), &form);
        }
    }
}
