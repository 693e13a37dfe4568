//! Sign-in, tokens, and the limits on failed attempts.

use std::time::Duration;

use futures::future::try_join_all;
use harness::http::{Client, Reply};
use harness::scenario::{ScenarioResult, Scenarios, each, scenario};
use harness::sign_in::{self, UserCredentials};
use harness::stack::{OwnStack, Stack};
use harness::stage::Stage;
use harness::{Error, Result, expect, expect_eq};
use jetscale::components::FRONTEND;
use jetscale::services::{JetscaleStack, ME, SIGN_IN};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

pub fn scenarios() -> Vec<Scenarios> {
    vec![
        scenario(a_user_signs_in),
        each(wrong_credentials_are_refused, [("password", Wrong::Password), ("login", Wrong::Login)]),
        scenario(failed_sign_ins_are_limited).within(300),
        scenario(a_stranger_locks_nobody_out)
            .within(300)
            .not_in(Stage::Dev, "stage dev has no artifact set: Tilt builds its images"),
        scenario(a_crowd_is_told_to_come_again).within(300).nightly(),
        scenario(no_token_is_refused),
        each(a_token_is_refused, BAD_TOKENS),
    ]
}

/// How many wrong passwords in a minute a login may have from one address.
const GUESSES: u32 = 10;

/// How many people sign in at once, fewer than may fail from one address; and how many of them one pod of the api takes, those
/// in its line and those it sees to.
const CROWD: usize = 55;
const IN_LINE: usize = 34;

/// Guesses at a login, and tells the statuses. Policies learn of its pod after its start: until then it tries again.
const STRANGER: &str = r#"
import json, sys, time, urllib.error, urllib.request
url, login, guesses = sys.argv[1:]
body = json.dumps({"login": login, "password": "guess"}).encode()
def guess():
    while True:
        try:
            request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
            return urllib.request.urlopen(request, timeout=10).status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            time.sleep(0.2)
print(*[guess() for _ in range(int(guesses))])
"#;

/// What is wrong with a token that would do but for that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Expired,
    AnotherKey,
    Unsigned,
}

/// Each way in which a token may be bad.
pub const BAD_TOKENS: [(&str, Fault); 3] =
    [("expired", Fault::Expired), ("signed_with_another_key", Fault::AnotherKey), ("unsigned", Fault::Unsigned)];

/// Which half of an account is wrong.
#[derive(Clone, Copy)]
enum Wrong {
    Password,
    Login,
}

async fn a_user_signs_in(stack: Stack) -> ScenarioResult {
    let login = stack.credentials().await?.login;
    let me = stack.user().await?.client().get(ME).await?;
    expect_eq!(me.expect_status(200)?.at("/data/login")?, json!(login))
}

/// The same answer for a wrong password and an unknown login: it tells nobody which logins exist. Both halves are right
/// but for the one, and the right ones sign in.
async fn wrong_credentials_are_refused(stack: Stack, wrong: Wrong) -> ScenarioResult {
    let (client, right) = (stack.client()?, stack.credentials().await?);
    sign_in::try_sign_in(&client, &right).await?.expect_status(200)?;
    let credentials = match wrong {
        Wrong::Password => UserCredentials { password: "not the password".to_owned(), ..right },
        Wrong::Login => UserCredentials { login: stack.own_name("nobody"), ..right },
    };
    let reply = sign_in::try_sign_in(&client, &credentials).await?;
    let body: Value = reply.expect_status(401)?.json()?;
    expect_eq!(body["error"]["code"], json!("invalid_credentials"))?;
    let nobody = UserCredentials { login: stack.own_name("somebody"), password: "any".to_owned() };
    expect_eq!(body, sign_in::try_sign_in(&client, &nobody).await?.json::<Value>()?)
}

/// Ten guesses a minute at one login, whatever address each says that it is from, and everybody else still signs in.
///
/// The promise holds within the minute, and while Redis answers the backend within its second: a machine under load can
/// break either, and then more guesses are refused before the limit is told. So a few logins are guessed at, and the
/// limit has to hold to the letter for one of them; a limit that comes early, or never, is wrong for all.
async fn failed_sign_ins_are_limited(stack: Stack) -> ScenarioResult {
    let client = stack.client()?;
    let mut seen = Vec::new();
    for login in ["guessed", "guessed-again", "guessed-a-third-time"] {
        let guess = UserCredentials { login: stack.own_name(login), password: "guess".to_owned() };
        let (refused, limited) = guesses(&client, &guess).await?;
        if limited.status == 429 && refused == GUESSES {
            let after: Option<u64> = limited.header("retry-after").and_then(|secs| secs.parse().ok());
            expect!((1..=60).contains(&after.unwrap_or_default()), "{limited} with Retry-After {after:?}")?;
            return stack.user().await.map(drop);
        }
        // Told to come again, since the line was full or Redis late: whether that guess counts is not known.
        let judged = limited.status != 503;
        expect!(!judged || refused >= GUESSES, "after {refused} guesses, not {GUESSES}: {limited}")?;
        seen.push(format!("after {refused} guesses: {limited}"));
    }
    Err(Error::Unmet(format!("no login was limited after {GUESSES} guesses: {}", seen.join("; "))))
}

/// Guesses one by one until one is not refused as wrong, or the limit is passed by as much again: how many were refused,
/// and the last answer.
async fn guesses(client: &Client, guess: &UserCredentials) -> Result<(u32, Reply)> {
    for refused in 0..2 * GUESSES {
        let client = client.clone().with_header("x-forwarded-for", &format!("192.0.2.{refused}"))?;
        let reply = sign_in::try_sign_in(&client, guess).await?;
        if reply.status != 401 {
            return Ok((refused, reply));
        }
    }
    Ok((2 * GUESSES, sign_in::try_sign_in(client, guess).await?))
}

/// Who guesses at somebody's password is refused, and that somebody signs in from elsewhere.
async fn a_stranger_locks_nobody_out(stack: Stack) -> ScenarioResult {
    let login = stack.credentials().await?.login;
    let url = format!("http://{}{SIGN_IN}", stack.name_of(&FRONTEND));
    let guesses = (2 * GUESSES).to_string();
    let guesser = stack.start_python("guesser", STRANGER, &[&url, &login, &guesses], Duration::from_secs(90)).await?;
    let told = guesser.finish().await?.logs;
    expect!(told.starts_with("401 ") && told.contains("429"), "nobody stopped who guesses: {told}")?;
    stack.user().await.map(drop)
}

/// More at once than one pod lets stand in line: who is past its end is told to come again, everybody else is answered, and
/// whoever comes next signs in.
async fn a_crowd_is_told_to_come_again(stack: OwnStack) -> ScenarioResult {
    let client = stack.client()?;
    let guesses = (0..CROWD).map(|person| UserCredentials {
        login: stack.own_name(&format!("person-{person}")),
        password: "guess".to_owned(),
    });
    let guesses: Vec<_> = guesses.collect();
    let replies = try_join_all(guesses.iter().map(|guess| sign_in::try_sign_in(&client, guess))).await?;
    let (answered, told): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 401);
    expect!(answered.len() >= IN_LINE, "only {} of {CROWD} were answered", answered.len())?;
    expect!(!told.is_empty(), "{CROWD} stood in a line of {IN_LINE}")?;
    for reply in told {
        let body: Value = reply.expect_status(503)?.json()?;
        expect_eq!(body["error"]["code"], json!("too_many_sign_ins"))?;
        expect!(
            reply.header("retry-after") == Some("2"),
            "{reply}: {:?} is no Retry-After",
            reply.header("retry-after")
        )?;
    }
    stack.user().await.map(drop)
}

/// The same question with a token is answered.
async fn no_token_is_refused(stack: Stack) -> ScenarioResult {
    stack.user().await?.client().get(ME).await?.expect_status(200)?;
    let reply = stack.client()?.get(ME).await?;
    reply.expect_status(401)?;
    expect!(reply.header("www-authenticate").is_some_and(|how| how.starts_with("Bearer")), "{reply}: no challenge")
}

/// A token made by the same hand without the fault is taken, so what is refused is the fault.
async fn a_token_is_refused(stack: Stack, fault: Fault) -> ScenarioResult {
    let (good, bad) = (token(&stack, None).await?, token(&stack, Some(fault)).await?);
    stack.client()?.bearer(&good)?.get(ME).await?.expect_status(200)?;
    stack.client()?.bearer(&bad)?.get(ME).await?.expect_status(401)?;
    Ok(())
}

/// A token of the release's first account as the backend makes them, but for a fault.
pub async fn token(stack: &Stack, fault: Option<Fault>) -> Result<String> {
    let key = match fault {
        Some(Fault::AnotherKey) => vec![b'k'; 64],
        _ => stack.auth_secret().await?["jwt-secret-key"].clone(),
    };
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    // Issued an hour ago: past the lifetime or not, a clock that is a little behind takes it.
    let expires = if fault == Some(Fault::Expired) { now - 60 } else { now + 3600 };
    let claims = json!({"sub": stack.credentials().await?.login, "iat": now - 3600, "exp": expires});
    let signed = encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&key));
    let signed = signed.map_err(Error::malformed("sign a token"))?;
    Ok(if fault == Some(Fault::Unsigned) { unsigned(&signed) } else { signed })
}

/// The same claims under a head that says that nobody signed them.
fn unsigned(token: &str) -> String {
    // {"alg":"none","typ":"JWT"}
    const NO_ALGORITHM: &str = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let claims = token.split('.').nth(1).unwrap_or_default();
    format!("{NO_ALGORITHM}.{claims}.")
}
