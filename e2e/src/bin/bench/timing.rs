//! Whether an attacker's clock learns anything about a secret.
//!
//! Each pair of requests differs in what is wrong with the secret in it and is refused alike; their times, taken in random
//! order on one connection, are compared by Welch's t-test. What the slowest tenth has is the machine's doing and is left out,
//! by one bound for both. The first row is the control: there the work really differs, and must be seen to.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use e2e::cast::{
    client::Raw,
    provider::Provider,
    signin::{DEVICE_GRANT, Device, Tokens},
    stage::Stage,
};

const PATIENCE: Duration = Duration::from_secs(30);
const WARM_UP: usize = 500;
/// Of all samples, the fastest.
const KEPT: f64 = 0.9;
/// Every sample of these costs the store a statement.
const ASKS_THE_STORE: usize = 10;

/// Two requests that differ in one thing.
struct Pair {
    about: &'static str,
    requests: [String; 2],
    /// Fewer samples, because each is dear.
    divided_by: usize,
}

pub(crate) async fn compare(samples: usize) -> Result<()> {
    let stage = Stage::with(vec![Provider::start()?], |config| config.release().log_to_file()).await;
    let device = Device::ask(&stage.gateway.client()?).await?;
    println!("## Times of refusals, compared\n");
    println!("| what differs | samples of each | medians in µs | t | p |");
    println!("|---|---:|---:|---:|---:|");
    for pair in pairs(&stage.tokens, &device)? {
        let samples = (samples / pair.divided_by).max(100);
        let mut times = measure(&stage, &pair, samples).await?;
        let [one, other] = crop(&mut times);
        let t = welch(one, other);
        let medians = [median(one), median(other)];
        println!("| {} | {samples} | {:.1}, {:.1} | {t:.2} | {:.3} |", pair.about, medians[0], medians[1], p_value(t));
    }
    println!("\nA difference is told apart where p is below 0.01: by chance alone in one row of a hundred.");
    Ok(())
}

fn pairs(tokens: &Tokens, device: &Device) -> Result<Vec<Pair>> {
    let (bearer, refresh) = (&tokens.access_token, tokens.refresh_token.as_deref().context("a refresh token")?);
    let signature = bearer.rfind('.').context("a signature")? + 1;
    let bearers = |about, one: String, other: String| {
        let requests = [one, other].map(|bearer| {
            format!("GET /v1/models HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {bearer}\r\n\r\n")
        });
        Pair { about, requests, divided_by: 1 }
    };
    let forms = |about, grant, name, [one, other]: [String; 2], divided_by| {
        let requests = [one, other].map(|secret| form(&format!("grant_type={grant}&{name}={secret}")));
        Pair { about, requests, divided_by }
    };
    // The first byte behind version, session and nonce, and one of the tag.
    let sealed = [altered(refresh, 40)?, altered(refresh, refresh.len() - 4)?];
    let codes = [altered(&device.device_code, device.device_code.len() - 2)?, noise(32)?];
    let of_another_session = [altered(refresh, 4)?, altered(refresh, refresh.len() - 4)?];
    Ok(vec![
        bearers(
            "control: a bearer of no form; one whose payload was changed",
            "x".repeat(bearer.len()),
            altered(bearer, signature - 9)?,
        ),
        bearers(
            "a bearer's signature is wrong in its first byte; in its last",
            altered(bearer, signature)?,
            altered(bearer, bearer.len() - 2)?,
        ),
        bearers(
            "a bearer's signature is wrong in its first byte; all of it",
            altered(bearer, signature)?,
            format!("{}{}", &bearer[..signature], noise(32)?),
        ),
        forms(
            "a refresh token is wrong in its first sealed byte; in its tag",
            "refresh_token",
            "refresh_token",
            sealed,
            1,
        ),
        forms(
            "a refresh token names another session; is wrong in its tag",
            "refresh_token",
            "refresh_token",
            of_another_session,
            1,
        ),
        forms(
            "a device code is one letter from a live one; is nobody's",
            DEVICE_GRANT,
            "device_code",
            codes,
            ASKS_THE_STORE,
        ),
    ])
}

fn form(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /oauth/token HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Another letter of the same alphabet at that place.
fn altered(text: &str, place: usize) -> Result<String> {
    let mut bytes = text.as_bytes().to_vec();
    let byte = bytes.get_mut(place).context("a place within the text")?;
    *byte = if *byte == b'A' { b'B' } else { b'A' };
    Ok(String::from_utf8(bytes)?)
}

fn noise(bytes: usize) -> Result<String> {
    let mut noise = vec![0; bytes];
    SystemRandom::new().fill(&mut noise).ok().context("randomness")?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(noise))
}

/// Microseconds of each of the two, which take turns by chance.
async fn measure(stage: &Stage, pair: &Pair, samples: usize) -> Result<[Vec<f64>; 2]> {
    let mut raw = stage.raw().await;
    for request in &pair.requests {
        for _ in 0..WARM_UP {
            ask(&mut raw, request).await?;
        }
    }
    let mut order = vec![0_u8; 2 * samples];
    SystemRandom::new().fill(&mut order).ok().context("randomness")?;
    let mut times = [Vec::with_capacity(samples), Vec::with_capacity(samples)];
    let mut shapes = [None, None];
    for chance in order {
        let which = usize::from(chance & 1);
        let (taken, shape) = ask(&mut raw, &pair.requests[which]).await?;
        times[which].push(taken);
        shapes[which] = Some(shape);
    }
    ensure!(shapes[0] == shapes[1], "{}: they are told apart without a clock: {shapes:?}", pair.about);
    Ok(times)
}

/// How long it took, and the answer's status and length.
async fn ask(raw: &mut Raw, request: &str) -> Result<(f64, (u16, usize))> {
    let since = Instant::now();
    raw.send(request).await?;
    let (status, body) = raw.reply(PATIENCE).await?;
    Ok((since.elapsed().as_secs_f64() * 1e6, (status, body.len())))
}

fn crop(times: &mut [Vec<f64>; 2]) -> [&[f64]; 2] {
    let mut all: Vec<f64> = times.concat();
    all.sort_by(f64::total_cmp);
    let bound = all[((all.len() as f64 * KEPT) as usize).min(all.len() - 1)];
    times.each_mut().map(|times| {
        times.retain(|time| *time <= bound);
        times.sort_by(f64::total_cmp);
        &**times
    })
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn welch(one: &[f64], other: &[f64]) -> f64 {
    let [(mean, error), (other_mean, other_error)] = [one, other].map(|times| {
        let count = times.len() as f64;
        let mean = times.iter().sum::<f64>() / count;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / (count - 1.0);
        (mean, variance / count)
    });
    (mean - other_mean) / (error + other_error).sqrt()
}

/// Of both tails, by the normal distribution: the samples are many. Abramowitz and Stegun, 7.1.26.
fn p_value(t: f64) -> f64 {
    let x = t.abs() / std::f64::consts::SQRT_2;
    let k = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    let polynomial = series.iter().fold(0.0, |sum, coefficient| (sum + coefficient) * k);
    polynomial * (-x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_tells_apart_what_differs_and_nothing_else() {
        let times = |shift: f64| (0..1000).map(|n| f64::from(n % 100) + shift).collect::<Vec<_>>();
        assert!(p_value(welch(&times(0.0), &times(0.0))) > 0.99);
        assert!(p_value(welch(&times(0.0), &times(10.0))) < 1e-6);
    }

    #[test]
    fn known_tails_of_the_normal_distribution() {
        for (t, p) in [(0.0, 1.0), (1.96, 0.05), (-2.576, 0.01)] {
            assert!((p_value(t) - p).abs() < 1e-4, "{t}");
        }
    }
}
