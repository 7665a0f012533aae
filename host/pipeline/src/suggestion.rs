//! What somebody may have meant to write.

/// A sentence that names the nearest of the known words, or all of them where none is near.
pub(crate) fn did_you_mean(written: &str, known: &[&str]) -> String {
    let tolerance = (written.chars().count() / 3).max(1);
    let nearest = known.iter().map(|word| (distance(written, word), *word)).min();
    match nearest {
        Some((away, word)) if away <= tolerance => format!("did you mean `{word}`?"),
        _ => {
            let all: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
            format!("allowed: {}", all.join(", "))
        }
    }
}

/// How many characters must be inserted, removed, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_a_guess_is_not_made() {
        assert_eq!(did_you_mean("inlcude", &["include", "exclude"]), "did you mean `include`?");
        assert_eq!(did_you_mean("plugins", &["plugin", "config"]), "did you mean `plugin`?");
        assert_eq!(did_you_mean("frobnicate", &["plugin", "config"]), "allowed: `plugin`, `config`");
        assert_eq!(distance("", "abc"), 3);
    }
}
