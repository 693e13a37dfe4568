//! Text from outside, made safe to show.

use std::borrow::Cow;

/// Text from outside (pods, tools, a pull request) that is safe to show: control characters except line ends and tabs are
/// escaped, and no line is a workflow command. GitHub takes `::` at a line's beginning and `##[` anywhere for one
/// (actions/runner, ActionCommand.cs).
pub fn harmless(text: &str) -> Cow<'_, str> {
    let is_odd = |sign: char| sign.is_control() && sign != '\n' && sign != '\t';
    if !text.contains(is_odd) && !text.contains("::") && !text.contains("##[") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let show = |shown: &mut String, text: &str| {
        for sign in text.chars() {
            if is_odd(sign) { shown.extend(sign.escape_default()) } else { shown.push(sign) }
        }
    };
    for line in text.replace("##[", "#\u{200b}#[").split_inclusive('\n') {
        let (before, command) = line.split_at(line.len() - line.trim_start().len());
        show(&mut shown, before);
        if command.starts_with("::") {
            shown.push('\u{200b}');
        }
        show(&mut shown, command);
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case::plain("a\n\tb: c::d", "a\n\tb: c::d")]
    #[case::command("x\n  ::error title=a::b\n", "x\n  \u{200b}::error title=a::b\n")]
    #[case::command_of_old("a ##[add-mask]b", "a #\u{200b}#[add-mask]b")]
    #[case::behind_a_return("a\r::stop-commands::x", "a\\r::stop-commands::x")]
    #[case::behind_a_feed("\u{c}::x", "\\u{c}\u{200b}::x")]
    #[case::colours("\u{1b}[2K\u{7}x", "\\u{1b}[2K\\u{7}x")]
    fn showing_it_does_nothing(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(super::harmless(text), shown);
    }
}
