//! nginx configurations as a tree of directives (nginx.org, "Beginner's Guide", "Configuration File's Structure").

use std::ops::Range;

/// A directive: `name args;`, or `name args { … }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// The directive's name; in a block of `map` or `types` the mapped key.
    pub name: String,
    /// The directive's arguments, without quotes.
    pub args: Vec<DirectiveArgument>,
    /// The directives of its block; empty without one.
    pub block: Vec<Directive>,
    /// The bytes of the directive in the text, its end or block included.
    pub span: Range<usize>,
}

/// An argument of a directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectiveArgument {
    /// The argument without quotes.
    pub text: String,
    /// The bytes of that in the text.
    pub span: Range<usize>,
}

impl Directive {
    /// The argument at an index; empty when absent.
    pub fn arg(&self, at: usize) -> &str {
        self.args.get(at).map_or("", |argument| argument.text.as_str())
    }

    /// Name and arguments, separated by spaces.
    pub fn head(&self) -> String {
        let words = std::iter::once(self.name.as_str()).chain(self.args.iter().map(|argument| argument.text.as_str()));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// All directives of a tree, each before those of its block.
pub fn all(directives: &[Directive]) -> Vec<&Directive> {
    directives.iter().flat_map(|directive| std::iter::once(directive).chain(all(&directive.block))).collect()
}

/// The first directive of a name among these, not in their blocks.
pub fn find<'a>(directives: &'a [Directive], name: &str) -> Option<&'a Directive> {
    directives.iter().find(|directive| directive.name == name)
}

enum NginxToken {
    Word(DirectiveArgument),
    End(usize),
    Open,
    Close(usize),
}

/// Parses a configuration.
///
/// # Errors
/// The fault, with its line where that is known.
pub fn parse(text: &str) -> Result<Vec<Directive>, String> {
    let mut tokens = tokens(text)?.into_iter();
    let (directives, end) = block(&mut tokens, text, 0)?;
    match end {
        None => Ok(directives),
        Some(at) => Err(format!("line {}: a brace closes nothing", line(text, at))),
    }
}

fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The directives up to the end of their block, and the place of its closing brace.
fn block(
    tokens: &mut impl Iterator<Item = NginxToken>,
    text: &str,
    depth: usize,
) -> Result<(Vec<Directive>, Option<usize>), String> {
    let mut directives = Vec::new();
    let mut words: Vec<DirectiveArgument> = Vec::new();
    let directive = |words: &mut Vec<DirectiveArgument>, block, end| {
        let mut words = std::mem::take(words).into_iter();
        let name = words.next()?;
        Some(Directive { span: name.span.start..end, name: name.text, args: words.collect(), block })
    };
    while let Some(token) = tokens.next() {
        match token {
            NginxToken::Word(word) => words.push(word),
            NginxToken::End(at) => directives.extend(directive(&mut words, Vec::new(), at + 1)),
            NginxToken::Open => {
                let (below, end) = block(tokens, text, depth + 1)?;
                let end = end.ok_or("the last block is not closed")?;
                directives.extend(directive(&mut words, below, end + 1));
            }
            NginxToken::Close(at) => {
                return match words.first() {
                    Some(word) => Err(format!("line {}: {:?} has no end", line(text, at), word.text)),
                    None => Ok((directives, Some(at))),
                };
            }
        }
    }
    match (words.first(), depth) {
        (Some(word), _) => Err(format!("{:?} has no end", word.text)),
        _ => Ok((directives, None)),
    }
}

fn tokens(text: &str) -> Result<Vec<NginxToken>, String> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(letter) = text[at..].chars().next() {
        match letter {
            '#' => at += text[at..].find('\n').unwrap_or(text.len() - at),
            ';' => {
                tokens.push(NginxToken::End(at));
                at += 1;
            }
            '{' => {
                tokens.push(NginxToken::Open);
                at += 1;
            }
            '}' => {
                tokens.push(NginxToken::Close(at));
                at += 1;
            }
            '"' | '\'' => {
                let inner = &text[at + 1..];
                let mut escaped = false;
                let end = inner.find(|letter| {
                    let ends = letter == text[at..].chars().next().unwrap_or('"') && !escaped;
                    escaped = letter == '\\' && !escaped;
                    ends
                });
                let end = end.ok_or_else(|| format!("line {}: a quote is not closed", line(text, at)))?;
                tokens.push(NginxToken::Word(DirectiveArgument {
                    text: inner[..end].to_owned(),
                    span: at + 1..at + 1 + end,
                }));
                at += end + 2;
            }
            letter if letter.is_whitespace() => at += letter.len_utf8(),
            _ => {
                // `${name}` has its own braces.
                let mut before = ' ';
                let mut in_variable = false;
                let end = text[at..].find(|letter: char| {
                    in_variable |= letter == '{' && before == '$';
                    let ends = !in_variable && (letter.is_whitespace() || matches!(letter, ';' | '{' | '}'));
                    in_variable &= letter != '}';
                    before = letter;
                    ends
                });
                let end = end.unwrap_or(text.len() - at);
                tokens.push(NginxToken::Word(DirectiveArgument {
                    text: text[at..at + end].to_owned(),
                    span: at..at + end,
                }));
                at += end;
            }
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn told(directives: &[Directive], indent: usize) -> String {
        let one = |directive: &Directive| {
            format!("{:indent$}{}\n{}", "", directive.head(), told(&directive.block, indent + 2))
        };
        directives.iter().map(one).collect()
    }

    #[test]
    fn a_configuration_is_a_tree_that_knows_where_it_stands() {
        let text = "user a; # not; this\nhttp {\n map $x $y { default \"a; b\"; ~^/d{1,2} 0; }\n log '$a ' 'b\\'c';\n types {}\n}";
        let quantified = parse("location ~ \"^/d{1,2}$\" { return 200 ${x}y; }").unwrap();
        assert_eq!(told(&quantified, 0), "location ~ ^/d{1,2}$\n  return 200 ${x}y\n");
        let text = text.replace("~^/d{1,2}", "\"~^/d{1,2}\"");
        let tree = parse(&text).unwrap();
        insta::assert_snapshot!(told(&tree, 0), @r"
        user a
        http
          map $x $y
            default a; b
            ~^/d{1,2} 0
          log $a  b\'c
          types
        ");
        let log = all(&tree).into_iter().find(|directive| directive.name == "log").unwrap();
        assert_eq!(&text[log.span.clone()], "log '$a ' 'b\\'c';");
        assert_eq!(&text[log.args[0].span.clone()], "$a ");
    }

    #[rstest]
    #[case("http {", "not closed")]
    #[case("a;\n}", "line 2: a brace")]
    #[case("a 'b;", "quote is not closed")]
    #[case("http { a b }", "\"a\" has no end")]
    #[case("a b", "\"a\" has no end")]
    fn what_is_none_is_said(#[case] text: &str, #[case] says: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}
