//! How the provider behaves: its clients, its habits, and what it does wrong.

use super::{person::Person, signing::Algorithm};

#[derive(Debug, Clone)]
pub struct Behaviour {
    pub people: Vec<Person>,
    pub algorithm: Algorithm,
    pub client_id: String,
    pub client_secret: String,
    /// What it accepts, and advertises where `advertise_auth_methods` is set.
    pub auth_methods: Vec<AuthMethod>,
    pub advertise_auth_methods: bool,
    pub certificate: Option<CertifiedClient>,
    pub refresh_tokens: bool,
    pub rotate_refresh_tokens: bool,
    pub id_token_on_refresh: bool,
    pub userinfo: bool,
    /// Claims that only userinfo tells.
    pub id_token_omits: Vec<String>,
    pub key_ids: bool,
    /// RFC 9207.
    pub names_itself_in_callback: bool,
    /// Seconds by which its clock is ahead of ours.
    pub clock_ahead: i64,
    pub misbehaviour: Option<Misbehaviour>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            people: Person::usual(),
            algorithm: Algorithm::Rs256,
            client_id: "claude-gateway".to_owned(),
            client_secret: "a client's secret: +/%&".to_owned(),
            auth_methods: vec![AuthMethod::Basic, AuthMethod::Post],
            advertise_auth_methods: true,
            certificate: None,
            refresh_tokens: true,
            rotate_refresh_tokens: true,
            id_token_on_refresh: true,
            userinfo: true,
            id_token_omits: Vec::new(),
            key_ids: true,
            names_itself_in_callback: false,
            clock_ahead: 0,
            misbehaviour: None,
        }
    }
}

impl Behaviour {
    pub fn person(mut self, person: Person) -> Self {
        self.people.retain(|known| known.sub != person.sub);
        self.people.push(person);
        self
    }

    pub fn signing(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    pub fn misbehaving(mut self, misbehaviour: Misbehaviour) -> Self {
        self.misbehaviour = Some(misbehaviour);
        self
    }

    pub fn find(&self, sub: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.sub == sub)
    }

    pub fn person_mut(&mut self, sub: &str) -> &mut Person {
        self.people.iter_mut().find(|person| person.sub == sub).expect("the provider knows this person")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    Basic,
    Post,
    PrivateKeyJwt,
}

impl AuthMethod {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

/// A client's certificate as it was registered, for `private_key_jwt`.
#[derive(Debug, Clone)]
pub struct CertifiedClient {
    pub certificate_der: Vec<u8>,
    pub public_key_pem: String,
}

/// One thing that is wrong; everything else stays right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misbehaviour {
    // In the ID token.
    WrongIssuer,
    IssuerSpelledDifferently,
    WrongAudience,
    /// Another audience besides ours, and no authorized party.
    SecondAudience,
    /// `azp` is this client.
    AuthorizedParty(String),
    WrongNonce,
    NoNonce,
    WrongSignature,
    ZeroSignature,
    AlgorithmNone,
    AlgorithmNoneInCapitals,
    HmacWithPublicKey,
    HmacWithClientSecret,
    /// Signed by a key of its own making that the header brings along.
    KeyInHeader,
    UnknownCriticalHeader,
    AccessTokenType,
    NestedToken,
    NoSubject,
    EmptySubject,
    NoIssuedAt,
    NoExpiry,
    Expired,
    NotYetValid,
    IssuedInTheFuture,
    WrongAccessTokenHash,
    UnknownKeyId,
    Garbage,
    /// A megabyte of claims.
    VastToken,
    NoIdToken,
    // In what it publishes.
    DiscoveryForAnotherIssuer,
    DiscoveryRedirectsTo(String),
    KeySetRedirectsTo(String),
    /// All but the authorization endpoint are at this URL.
    EndpointsAt(String),
    HugeKeySet,
    /// The set holds an `oct` key, and tokens are signed with it.
    SymmetricKeyInKeySet,
    KeySetFails,
    // In the callback (RFC 9207).
    CallbackOfAnotherIssuer,
    CallbackWithoutIssuer,
    // At userinfo.
    UserinfoOfSomebodyElse,
    UserinfoFails,
    UserinfoHangs,
    // At a refresh.
    SubjectChangesOnRefresh,
    IssuerChangesOnRefresh,
    // At the token endpoint.
    TokenEndpointHangs,
    TokenEndpointFails,
    TokenEndpointRedirectsTo(String),
    /// Any OAuth error code.
    TokenEndpointRefuses(String),
    /// `invalid_grant` in a body whose status is 500.
    RefusesWithServerError,
}
