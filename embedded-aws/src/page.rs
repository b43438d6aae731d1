//! Lists that are told in pages.

/// Cuts one page of `items` out: at most `max` of them, from the one after that which `token` names. With it
/// comes the token of the next page, if there is one; `None` if `token` names none of them.
///
/// The token is the name of the last item of the page before: it stays right whatever is added meanwhile.
pub(super) fn page<T>(
    mut items: Vec<T>,
    name: impl Fn(&T) -> &str,
    token: Option<&str>,
    max: usize,
) -> Option<(Vec<T>, Option<String>)> {
    let start = match token {
        Some(token) => items.iter().position(|item| name(item) == token)? + 1,
        None => 0,
    };
    items.drain(..start);
    let more = items.len() > max;
    items.truncate(max);
    let next = items.last().filter(|_| more).map(|last| name(last).to_owned());
    Some((items, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_and_overlap() {
        let items = || vec!["a", "b", "c", "d", "e"];
        let page = |token| page(items(), |item| item, token, 2);
        assert_eq!(page(None), Some((vec!["a", "b"], Some("b".to_owned()))));
        assert_eq!(page(Some("b")), Some((vec!["c", "d"], Some("d".to_owned()))));
        assert_eq!(page(Some("d")), Some((vec!["e"], None)));
        assert_eq!(page(Some("e")), Some((vec![], None)));
        assert_eq!(page(Some("x")), None);
    }
}
