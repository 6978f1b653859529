//! What Postgres keeps of a password (SCRAM-SHA-256, RFC 5803), made here: so the password itself is in no statement, and in
//! no log of the server's.

use std::num::NonZeroU32;

use aws_lc_rs::{
    digest, hmac,
    pbkdf2::{self, PBKDF2_HMAC_SHA256},
    rand::SecureRandom,
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::StoreError;

const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

pub(super) fn verifier(password: &str, random: &dyn SecureRandom) -> Result<String, StoreError> {
    let mut salt = [0; 16];
    random.fill(&mut salt).map_err(|_| StoreError::NoRandomness)?;
    Ok(with_salt(password, &salt))
}

fn with_salt(password: &str, salt: &[u8]) -> String {
    let mut salted = [0; 32];
    pbkdf2::derive(PBKDF2_HMAC_SHA256, ITERATIONS, salt, password.as_bytes(), &mut salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
    let (client, server) = (hmac::sign(&key, b"Client Key"), hmac::sign(&key, b"Server Key"));
    let stored = digest::digest(&digest::SHA256, client.as_ref());
    let [salt, stored, server] = [salt, stored.as_ref(), server.as_ref()].map(|bytes| STANDARD.encode(bytes));
    format!("SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677, section 3: its client proof is the client key under a signature by the stored key.
    #[test]
    fn the_verifier_is_that_of_the_standard() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let made = with_salt("pencil", &salt);
        let keys = made.rsplit('$').next().unwrap();
        let (stored, server) = keys.split_once(':').unwrap();
        let said = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signed_by = |key: &str| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, &STANDARD.decode(key).unwrap());
            hmac::sign(&key, said.as_bytes()).as_ref().to_vec()
        };
        assert_eq!(STANDARD.encode(signed_by(server)), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let client: Vec<u8> = proof.iter().zip(signed_by(stored)).map(|(proof, signed)| proof ^ signed).collect();
        assert_eq!(STANDARD.encode(digest::digest(&digest::SHA256, &client)), stored);
    }
}
