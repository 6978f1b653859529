//! Settings documents of Claude Code against the public reference.

use crate::support::{complaints, load, with};

const AS_THE_REFERENCE: &str = ": write it as Claude Code's settings reference has it";

fn policy(code: &str) -> String {
    let door = "access_control: { allow_cidrs: [10.0.0.0/8] }\n";
    with("managed", &format!("{{ policies: [{{ match: {{}}, code: {code} }}] }}")) + door
}

fn refused(code: &str) -> Vec<String> {
    let said = complaints(&policy(code));
    said.lines()
        .map(|line| line.trim_start_matches("managed.policies[0].code.").replace(AS_THE_REFERENCE, ""))
        .collect()
}

fn warned(code: &str) -> Vec<String> {
    let warnings = load(&policy(code)).warnings;
    warnings.iter().map(|warning| warning.to_string().replace("managed.policies[0].code.", "")).collect()
}

#[test]
fn a_wrong_type_is_refused_at_its_own_path() {
    for (code, expected) in [
        ("{ verbose: 'true' }", "verbose: must be true or false"),
        ("{ model: [opus] }", "model: must be text"),
        ("{ model: ~ }", "model: must be text"),
        ("{ deniedModels: opus }", "deniedModels: must be a list of texts"),
        ("{ deniedModels: [opus, 5] }", "deniedModels[1]: must be text"),
        ("{ cleanupPeriodDays: 0 }", "cleanupPeriodDays: must be a whole number, 1 or more"),
        ("{ cleanupPeriodDays: 1.5 }", "cleanupPeriodDays: must be a whole number, 1 or more"),
        ("{ feedbackSurveyRate: 2 }", "feedbackSurveyRate: must be a number from 0 to 1"),
        ("{ availableModelsMatch: Exact }", "availableModelsMatch: must be one of prefix, exact"),
        ("{ disableAutoMode: true }", "disableAutoMode: must be disable, if it is written"),
        ("{ effortLevel: 3 }", "effortLevel: must be text"),
        ("{ attribution: none }", "attribution: must be true or false, or a mapping"),
        ("{ attribution: { commit: true } }", "attribution.commit: must be text"),
        ("{ permissions: [] }", "permissions: must be a mapping"),
        ("{ permissions: { deny: [Bash, {}] } }", "permissions.deny[1]: must be text"),
        (
            "{ sandbox: { network: { allowedDomains: example.com } } }",
            "sandbox.network.allowedDomains: must be a list of texts",
        ),
        (
            "{ sandbox: { credentials: { files: [{ path: x }] } } }",
            "sandbox.credentials.files[0].mode: is missing: write it, as Claude Code's settings reference has it",
        ),
        ("{ hooks: { Stop: { command: x } } }", "hooks.Stop: must be a list"),
        ("{ hooks: { NewEvent: 1 } }", "hooks.NewEvent: must be a list"),
        (
            "{ hooks: { Stop: [{ hooks: [{ type: command, timeout: soon }] }] } }",
            "hooks.Stop[0].hooks[0].timeout: must be a number",
        ),
        (
            "{ skillOverrides: { deploy: never } }",
            "skillOverrides.deploy: must be one of on, name-only, user-invocable-only, off",
        ),
        ("{ managedMcpServers: [] }", "managedMcpServers: must be a mapping"),
        ("{ modelOverrides: { a: 1 } }", "modelOverrides.a: must be text"),
    ] {
        assert_eq!(refused(code), [expected], "{code}");
    }
}

#[test]
fn an_unknown_key_is_warned_of_with_the_nearest_known_one() {
    for (code, expected) in [
        ("{ cleanupPeriodDay: 7 }", "cleanupPeriodDay: is no setting known here; did you mean `cleanupPeriodDays`?"),
        ("{ somethingEntirelyNew: 7 }", "somethingEntirelyNew: is no setting known here"),
        ("{ permissions: { dney: [] } }", "permissions.dney: is no setting known here; did you mean `deny`?"),
        (
            "{ sandbox: { network: { allowDomains: [] } } }",
            "sandbox.network.allowDomains: is no setting known here; did you mean `allowedDomains`?",
        ),
        ("{ hooks: { PreToolUsed: [] } }", "hooks.PreToolUsed: is no setting known here; did you mean `PreToolUse`?"),
        ("{ effortLevel: hihg }", "effortLevel: is no value known here; did you mean `high`?"),
        ("{ viewMode: panorama }", "viewMode: is no value known here"),
    ] {
        assert_eq!(warned(code), [expected], "{code}");
    }
}

#[test]
fn a_document_as_the_reference_has_it_passes_in_silence() {
    let document = r#"{
      $schema: https://json.schemastore.org/claude-code-settings.json,
      availableModels: [opus, claude-haiku-4-5], deniedModels: [fable], availableModelsMatch: exact,
      cleanupPeriodDays: 30, feedbackSurveyRate: 0.05, forceLoginOrgUUID: [a, b], strictPluginOnlyCustomization: true,
      attribution: { commit: "", sessionUrl: false }, env: { A: text, B: 1, C: true },
      permissions: { allow: ["Bash(npm run *)"], deny: [WebFetch], defaultMode: plan, disableBypassPermissionsMode: disable },
      sandbox: { enabled: true, network: { allowedDomains: ["*.example.com"], httpProxyPort: 8080 }, ignoreViolations: { git: [/etc] } },
      hooks: { PreToolUse: [{ matcher: Bash, hooks: [{ type: command, command: "check ${X}", timeout: 5 }] }] },
      managedMcpServers: { docs: { type: http, url: "https://mcp.example.com" } },
      deniedMcpServers: [{ serverName: a }, { serverCommand: [npx, b] }, { serverUrl: "https://*" }],
      extraKnownMarketplaces: { acme: { source: { source: github, repo: acme/plugins } } },
      enabledPlugins: { formatter@acme: true }, statusLine: { type: command, command: line },
      modelPricing: { multiplier: 0.8 }, theme: "custom:corp"
    }"#;
    assert_eq!(warned(document), [""; 0]);
}

#[test]
fn a_start_model_that_the_list_leaves_out_is_mentioned() {
    let expected =
        "availableModels: leaves out the model that sessions start on; set model, or enforceAvailableModels: true";
    assert_eq!(warned("{ availableModels: [claude-haiku-4-5] }"), [expected]);
    for fine in [
        "{ availableModels: [Opus] }",
        "{ availableModels: [] }",
        "{ availableModels: [claude-haiku-4-5], model: haiku }",
        "{ availableModels: [claude-haiku-4-5], enforceAvailableModels: true }",
    ] {
        assert_eq!(warned(fine), [""; 0], "{fine}");
    }
}

#[test]
fn a_desktop_block_is_checked_where_the_gateway_reads_it() {
    let desktop =
        |block: &str| complaints(&with("managed", &format!("{{ policies: [{{ match: {{}}, desktop: {block} }}] }}")));
    assert_eq!(desktop("{ somethingOfDesktop: [{ a: 1 }], disabledBuiltinTools: [Bash] }"), "");
    for (block, field) in [
        ("{ disabledBuiltinTools: Bash }", "disabledBuiltinTools: must be a list of texts"),
        ("{ coworkEgressAllowedHosts: [1] }", "coworkEgressAllowedHosts[0]: must be text"),
        ("{ builtinToolPolicy: { Bash: 1 } }", "builtinToolPolicy.Bash: must be text"),
    ] {
        assert_eq!(desktop(block), format!("managed.policies[0].desktop.{field}{AS_THE_REFERENCE}"));
    }
}

#[test]
fn no_document_makes_the_check_panic() {
    let values = ["1", "-1", "1.5", "1e300", "true", "~", "[]", "{}", "x", "[[1]]", "{ a: { b: [~] } }"];
    for key in ["env", "hooks", "sandbox", "permissions", "attribution", "statusLine", "cleanupPeriodDays", "new"] {
        for value in values {
            let said = refused(&format!("{{ {key}: {value} }}"));
            assert!(said.iter().all(|line| line.starts_with(key)), "{said:?}");
        }
    }
}
