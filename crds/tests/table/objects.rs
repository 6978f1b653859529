//! The objects that cases are made from: the smallest, and two of each kind that between them say everything there is to say.

use serde_json::{Value, json};

fn object(kind: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "claude-gateway.dev/v1alpha1",
        "kind": kind,
        "metadata": { "name": "case", "namespace": "default" },
        "spec": spec,
    })
}

pub fn secret() -> Value {
    json!({ "name": "secrets", "key": "some-key" })
}

pub fn gateway() -> Value {
    object(
        "ClaudeGateway",
        json!({
            "publicUrl": "https://claude.example.com",
            "exposure": { "kind": "None" },
            "database": { "urlSecretRef": secret() },
            "oidc": { "issuer": "https://login.example.com", "clientId": "claude", "clientSecretRef": secret() },
            "upstreams": [{ "name": "main", "provider": { "anthropic": { "auth": { "apiKeySecretRef": secret() } } } }],
        }),
    )
}

pub fn policy() -> Value {
    object("UserPolicy", json!({ "gatewayRef": { "name": "claude" } }))
}

/// Behind an Ingress; each choice falls on the first of its ways.
pub fn full_gateway() -> Value {
    object(
        "ClaudeGateway",
        json!({
            "publicUrl": "https://claude.example.com",
            "replicas": 3,
            "image": {
                "repository": "registry.example.com:5000/team/claude-gateway", "tag": "0.1.0", "pullPolicy": "Always",
                "pullSecrets": [{ "name": "registry" }],
            },
            "exposure": {
                "kind": "Ingress", "className": "nginx", "annotations": { "example.com/timeout": "600" },
                "tls": { "secretRef": { "name": "claude-tls" } }, "trustedProxies": ["10.0.0.0/8", "fd00::/8", "192.0.2.7"],
            },
            "database": {
                "urlSecretRef": secret(), "caCertificate": { "configMapRef": { "name": "ca", "key": "ca.crt" } },
                "migrationSecretRef": { "name": "owner", "usernameKey": "user", "passwordKey": "pass" },
                "podSecretRef": { "name": "pods", "usernameKey": "user", "passwordKey": "pass" },
                "schema": "claude_gateway_2", "maxConnections": 10, "connectTimeoutSeconds": 7,
            },
            "oidc": full_oidc(),
            "session": { "ttlMinutes": 60, "maxDays": 3_650 },
            "upstreams": [full_upstream()],
            "models": [{
                "id": "house-model", "label": "House", "description": "Of the house.",
                "upstreamModel": [{ "upstream": "main", "id": "claude-opus-5" }],
            }],
            "autoIncludeBuiltinModels": false,
            "limits": { "maxRequestBytes": 1_000_000, "maxRequestHeaderBytes": 65_536, "maxUrlLength": 8_192 },
            "timeouts": { "upstreamTtfbMs": 60_000, "drainSeconds": 300 },
            "rateLimits": {
                "deviceAuthorization": { "max": 40, "windowSeconds": 60 }, "deviceVerify": { "max": 20, "windowSeconds": 60 },
            },
            "accessControl": { "allowCidrs": ["10.0.0.0/8"], "denyCidrs": ["10.1.2.3"] },
            "admin": {
                "writeKeys": [{ "id": "platform", "keySecretRef": secret() }],
                "readKeys": [{ "id": "finance", "keySecretRef": secret() }],
                "adminGroups": ["admins"], "spendRetentionMonths": 24,
            },
            "enforcement": { "failClosedOnError": true },
            "metrics": {
                "enabled": true, "port": 9_999,
                "serviceMonitor": { "intervalSeconds": 15, "labels": { "release": "prometheus" } },
            },
            "logLevel": "debug",
            "podTemplate": full_pod(),
            "networkPolicy": {
                "enabled": true, "ingressNamespaces": ["ingress"], "egress": [{ "cidr": "10.20.0.0/16", "port": 5_432 }],
            },
            "proxy": {
                "url": "http://proxy.example.com:3128", "noProxy": ["localhost", ".example.com"], "isEgressBoundary": true,
            },
            "policies": { "allowed": [{
                "namespace": "data", "groups": ["data"], "emailDomains": ["lab.example.com"],
                "minPriority": 0, "maxPriority": 10_000, "managedSettings": true,
            }] },
            "development": { "allowPlainHttp": false },
        }),
    )
}

fn full_oidc() -> Value {
    json!({
        "issuer": "https://login.example.com/realms/company",
        "discoveryUrl": "https://login.example.com/.well-known/openid-configuration?p=sign-in",
        "caCertificate": { "secretRef": secret() }, "useProxy": true, "idTokenSignedResponseAlg": "ES256",
        "clockSkewSeconds": 30, "clientId": "claude", "clientSecretRef": secret(),
        "tokenEndpointAuthMethod": "client_secret_post", "additionalAuthorizedParties": ["other"],
        "allowedEmailDomains": ["example.com"], "allowedGroups": ["Engineering"], "groupsClaim": "/realm_access/roles",
        "emailClaim": ["email", "/upn"], "userinfoFallback": true, "scopes": ["openid", "groups"], "scopeOnRefresh": true,
        "googleGroups": { "serviceAccountSecretRef": secret(), "adminEmail": "reader@example.com" },
        "extraAuthParams": [{ "name": "access_type", "value": "offline" }], "usePkce": false,
        "formActionOrigins": ["https://accounts.example.com:8443"],
    })
}

fn full_upstream() -> Value {
    json!({
        "name": "main",
        "provider": { "anthropic": {
            "baseUrl": "https://models.example.com/anthropic", "auth": { "apiKeySecretRef": secret() },
            "forwardUserIdentity": true,
        } },
        "models": ["claude-opus-*"], "priority": 1, "weight": 2, "maxConcurrent": 100, "zeroRetention": true,
        "headers": [{ "name": "x-team", "value": "platform" }, { "name": "x-token", "valueSecretRef": secret() }],
        "caCertificate": { "configMapRef": { "name": "ca", "key": "ca.crt" } },
    })
}

fn full_pod() -> Value {
    json!({
        "labels": { "team": "platform" }, "annotations": { "example.com/owner": "platform" },
        "resources": { "requests": { "cpu": "500m", "memory": "512Mi" }, "limits": { "memory": "512Mi" } },
        "nodeSelector": { "pool": "gateways" },
        "tolerations": [{ "key": "pool", "operator": "Equal", "value": "gateways", "effect": "NoSchedule" }],
        "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{
            "weight": 100,
            "podAffinityTerm": { "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": { "app": "x" } } },
        }] } },
        "priorityClassName": "business-critical", "hostUsers": false,
    })
}

/// Behind a Gateway; each choice falls on another way than in `full_gateway`.
pub fn other_gateway() -> Value {
    object(
        "ClaudeGateway",
        json!({
            "publicUrl": "http://localhost:8443",
            "autoscaling": { "minReplicas": 1, "maxReplicas": 1_000, "targetCpuUtilizationPercentage": 60 },
            "image": { "digest": format!("sha256:{}", "0123456789abcdef".repeat(4)) },
            "exposure": {
                "kind": "HTTPRoute", "annotations": { "example.com/timeout": "600" },
                "parentRefs": [{ "name": "public", "namespace": "gateways", "sectionName": "https" }, { "name": "public" }],
                "trustedProxies": ["10.0.0.0/8"],
                "tls": { "certManager": { "issuerRef": {
                    "name": "company", "kind": "ClusterIssuer", "group": "cert-manager.io",
                } } },
            },
            "database": {
                "host": "postgres.example.com", "port": 6_432, "name": "claude", "sslMode": "verify-full",
                "caCertificate": { "secretRef": secret() }, "migrationSecretRef": { "name": "owner" },
            },
            "oidc": {
                "issuer": "http://login.example.com", "clientId": "claude", "tokenEndpointAuthMethod": "private_key_jwt",
                "caCertificate": { "configMapRef": { "name": "ca", "key": "ca.crt" } },
                "clientAssertion": { "privateKeySecretRef": secret(), "certificateSecretRef": secret() },
            },
            "upstreams": [
                {
                    "name": "main", "provider": { "anthropic": { "auth": { "oauthTokenSecretRef": secret() } } },
                    "caCertificate": { "secretRef": secret() },
                },
                { "name": "federated", "provider": { "anthropic": { "auth": { "federation": {
                    "federationRuleId": "fdrl_1", "organizationId": "org_1", "workspaceId": "wrkspc_1",
                    "serviceAccountId": "svac_1", "audience": "https://api.anthropic.com",
                } } } } },
            ],
            "development": { "allowPlainHttp": true },
        }),
    )
}

pub fn full_policy() -> Value {
    object(
        "UserPolicy",
        json!({
            "gatewayRef": { "name": "claude", "namespace": "platform" },
            "priority": 100,
            "match": {
                "groups": ["Engineering"], "emailDomain": "example.com", "emails": ["ada@example.com"], "subjects": ["sub-1"],
            },
            "models": { "available": ["opus", "claude-sonnet-5"], "denied": ["claude-opus-4"], "match": "Exact" },
            "tokenLimits": {
                "maxInputTokens": 200_000, "maxOutputTokens": 32_000, "tokensPerMinute": 400_000, "tokensPerDay": 20_000_000,
                "tokensPerMonth": 400_000_000, "requestsPerMinute": 60, "concurrentRequests": 8, "countCacheReads": true,
            },
            "retention": { "transcriptDays": 14, "telemetry": "Redacted", "upstream": "Zero" },
            "claudeCode": {
                "model": "opus", "permissions": { "deny": ["Read(./.env)"] },
                "hooks": { "PreToolUse": [{ "hooks": [{ "type": "command", "command": "check ${CLAUDE_PROJECT_DIR}" }] }] },
            },
            "desktop": { "disabledBuiltinTools": ["bash"] },
            "mode": "Audit",
        }),
    )
}

/// What models say stands in the settings document instead.
pub fn other_policy() -> Value {
    object(
        "UserPolicy",
        json!({
            "gatewayRef": { "name": "claude" },
            "claudeCode": { "availableModels": ["opus"], "deniedModels": ["haiku"], "availableModelsMatch": "exact" },
        }),
    )
}

/// Those of a kind that say everything between them.
pub fn full(kind: &str) -> [Value; 2] {
    match kind {
        "ClaudeGateway" => [full_gateway(), other_gateway()],
        _ => [full_policy(), other_policy()],
    }
}

/// Every object that has to be accepted as it stands.
pub fn all() -> [(&'static str, Value); 6] {
    [
        ("the smallest gateway", gateway()),
        ("a gateway that says everything", full_gateway()),
        ("a gateway that says everything otherwise", other_gateway()),
        ("the smallest policy", policy()),
        ("a policy that says everything", full_policy()),
        ("a policy with its models in the settings document", other_policy()),
    ]
}
