//! The settings that are mappings of known keys.

use super::{COUNT, DISABLE, FLAG, SCALAR, TEXT};
use crate::section::managed::form::{Form, Keys, TEXTS};

const PORT: Form = Form::Whole(1);

pub(super) static ATTRIBUTION: Keys = Keys::optional(&[(TEXT, &["commit", "pr"]), (FLAG, &["sessionUrl"])]);

pub(super) static AUTO_MODE: Keys =
    Keys::optional(&[(TEXTS, &["allow", "soft_deny", "hard_deny", "environment"]), (FLAG, &["classifyAllShell"])]);

pub(super) static CHANNEL_PLUGIN: Keys =
    Keys::optional(&[(TEXT, &["marketplace", "plugin"])]).requiring(&["marketplace", "plugin"]);

pub(super) static COMMAND: Keys = Keys::optional(&[
    (Form::Choice(&["command"]), &["type"]),
    (TEXT, &["command"]),
    (Form::Number, &["padding", "refreshInterval"]),
    (FLAG, &["hideVimModeIndicator"]),
])
.requiring(&["type", "command"]);

pub(super) static FOOTER_LINK: Keys =
    Keys::optional(&[(TEXT, &["type", "pattern", "url", "label"])]).requiring(&["pattern", "url"]);

/// An event that is not known here has its hooks in a list all the same.
#[rustfmt::skip]
pub(super) static HOOKS: Keys = Keys {
    forms: &[(MATCHERS, &[
        "ConfigChange", "CwdChanged", "DirectoryAdded", "Elicitation", "ElicitationResult", "FileChanged",
        "InstructionsLoaded", "MessageDisplay", "Notification", "PermissionDenied", "PermissionRequest", "PostCompact",
        "PostModelSwitch", "PostToolBatch", "PostToolUse", "PostToolUseFailure", "PreCompact", "PreModelSwitch",
        "PreToolUse", "SessionEnd", "SessionStart", "Setup", "Stop", "StopFailure", "SubagentStart", "SubagentStop",
        "TaskCompleted", "TaskCreated", "TeammateIdle", "UserPromptExpansion", "UserPromptSubmit", "WorktreeCreate",
        "WorktreeRemove",
    ])],
    required: &[],
    unknown: MATCHERS,
};

const MATCHERS: Form = Form::List(&Form::Keys(&MATCHER));

static MATCHER: Keys =
    Keys::optional(&[(TEXT, &["matcher"]), (Form::List(&Form::Keys(&HOOK)), &["hooks"])]).requiring(&["hooks"]);

static HOOK: Keys = Keys::optional(&[
    (Form::Word(&["command", "prompt", "agent", "http", "mcp_tool"]), &["type"]),
    (TEXT, &["command", "if", "model", "prompt", "server", "shell", "statusMessage", "tool", "url"]),
    (TEXTS, &["allowedEnvVars", "args"]),
    (FLAG, &["async", "asyncRewake", "continueOnBlock", "once"]),
    (Form::Number, &["timeout"]),
    (Form::Mapping(&TEXT), &["headers"]),
    (Form::Mapping(&Form::Any), &["input"]),
])
.requiring(&["type"]);

pub(super) static MARKETPLACE: Keys = Keys::optional(&[
    (Form::Keys(&MARKETPLACE_SOURCE), &["source"]),
    (TEXT, &["installLocation", "lastUpdated"]),
    (FLAG, &["autoUpdate"]),
])
.requiring(&["source"]);

/// Which of the keys belong together depends on the source, and there are new ones with every few versions.
pub(super) static MARKETPLACE_SOURCE: Keys = Keys::optional(&[
    (TEXT, &["source", "url", "repo", "ref", "path", "package", "hostPattern", "pathPattern", "name"]),
    (Form::Mapping(&TEXT), &["headers"]),
    (Form::List(&Form::Any), &["plugins"]),
])
.requiring(&["source"]);

pub(super) static MCP_SERVER: Keys =
    Keys::optional(&[(TEXT, &["serverName", "serverUrl"]), (TEXTS, &["serverCommand"])]);

pub(super) static MODEL_PICKER: Keys =
    Keys::optional(&[(Form::List(&Form::Keys(&PICKED_MODEL)), &["options"]), (FLAG, &["replaceBuiltInOptions"])])
        .requiring(&["options"]);

static PICKED_MODEL: Keys = Keys::optional(&[(TEXT, &["model", "label", "description"])]).requiring(&["model"]);

pub(super) static MODEL_PRICING: Keys =
    Keys::optional(&[(Form::Number, &["multiplier"]), (Form::Mapping(&Form::Mapping(&Form::Any)), &["overrides"])]);

pub(super) static PERMISSIONS: Keys = Keys::optional(&[
    (TEXTS, &["allow", "deny", "ask", "additionalDirectories"]),
    (
        Form::Choice(&["default", "manual", "acceptEdits", "plan", "auto", "dontAsk", "bypassPermissions", "delegate"]),
        &["defaultMode"],
    ),
    (DISABLE, &["disableBypassPermissionsMode", "disableAutoMode"]),
    (FLAG, &["blockReadsOutsideWorkingDirectories"]),
]);

pub(super) static PLUGIN_CONFIG: Keys = Keys::optional(&[
    (Form::Mapping(&Form::OneOf(&[SCALAR, TEXTS])), &["options"]),
    (Form::Mapping(&Form::Mapping(&Form::OneOf(&[SCALAR, TEXTS]))), &["mcpServers"]),
]);

pub(super) static POLICY_HELPER: Keys =
    Keys::optional(&[(TEXT, &["path"]), (COUNT, &["timeoutMs", "refreshIntervalMs"])]).requiring(&["path"]);

pub(super) static REMOTE: Keys = Keys::optional(&[(TEXT, &["defaultEnvironmentId"])]);

pub(super) static SANDBOX: Keys = Keys::optional(&[
    (
        FLAG,
        &[
            "enabled",
            "failIfUnavailable",
            "autoAllowBashIfSandboxed",
            "allowUnsandboxedCommands",
            "allowAppleEvents",
            "enableWeakerNetworkIsolation",
            "enableWeakerNestedSandbox",
        ],
    ),
    (TEXTS, &["excludedCommands", "enabledPlatforms"]),
    (TEXT, &["bwrapPath", "socatPath"]),
    (Form::Mapping(&TEXTS), &["ignoreViolations"]),
    (Form::Keys(&SANDBOX_CREDENTIALS), &["credentials"]),
    (Form::Keys(&SANDBOX_FILESYSTEM), &["filesystem"]),
    (Form::Keys(&SANDBOX_NETWORK), &["network"]),
    (Form::Keys(&RIPGREP), &["ripgrep"]),
]);

static SANDBOX_CREDENTIALS: Keys = Keys::optional(&[
    (Form::List(&Form::Keys(&CREDENTIAL_FILE)), &["files"]),
    (Form::List(&Form::Keys(&CREDENTIAL_VARIABLE)), &["envVars"]),
]);

static CREDENTIAL_FILE: Keys = Keys::optional(&[(TEXT, &["path", "mode"])]).requiring(&["path", "mode"]);

static CREDENTIAL_VARIABLE: Keys = Keys::optional(&[(TEXT, &["name", "mode"])]).requiring(&["name", "mode"]);

static SANDBOX_FILESYSTEM: Keys = Keys::optional(&[
    (TEXTS, &["allowWrite", "denyWrite", "denyRead", "allowRead"]),
    (FLAG, &["allowManagedReadPathsOnly", "disabled"]),
]);

static SANDBOX_NETWORK: Keys = Keys::optional(&[
    (TEXTS, &["allowedDomains", "deniedDomains", "allowUnixSockets", "allowMachLookup"]),
    (FLAG, &["allowAllUnixSockets", "allowLocalBinding", "allowManagedDomainsOnly", "strictAllowlist"]),
    (PORT, &["httpProxyPort", "socksProxyPort"]),
    (Form::Mapping(&Form::Any), &["tlsTerminate"]),
]);

static RIPGREP: Keys = Keys::optional(&[(TEXT, &["command"]), (TEXTS, &["args"])]).requiring(&["command"]);

pub(super) static SPELLCHECK: Keys = Keys::optional(&[(FLAG, &["enabled"]), (TEXT, &["checker", "language"])]);

pub(super) static SPINNER_TIPS: Keys = Keys::optional(&[(TEXTS, &["tips"]), (FLAG, &["excludeDefault"])]);

pub(super) static SPINNER_VERBS: Keys =
    Keys::optional(&[(TEXTS, &["verbs"]), (Form::Choice(&["append", "replace"]), &["mode"])])
        .requiring(&["verbs", "mode"]);

pub(super) static SSH: Keys =
    Keys::optional(&[(TEXT, &["id", "name", "sshHost", "sshIdentityFile", "startDirectory"]), (PORT, &["sshPort"])])
        .requiring(&["id", "name", "sshHost"]);

pub(super) static VOICE: Keys =
    Keys::optional(&[(FLAG, &["enabled", "autoSubmit"]), (Form::Choice(&["hold", "tap"]), &["mode"])]);

pub(super) static WORKTREE: Keys = Keys::optional(&[
    (TEXTS, &["symlinkDirectories", "sparsePaths"]),
    (Form::Choice(&["fresh", "head"]), &["baseRef"]),
    (Form::Word(&["worktree", "none"]), &["bgIsolation"]),
]);
