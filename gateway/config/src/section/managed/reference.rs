//! The public settings reference of Claude Code (2.1.330): which keys a managed-settings document may have, and of what form.

mod nested;

use super::form::{Form, Keys, TEXTS};

const FLAG: Form = Form::Flag;
const TEXT: Form = Form::Text;
const COUNT: Form = Form::Whole(0);
const DISABLE: Form = Form::Choice(&["disable"]);
const SCALAR: Form = Form::OneOf(&[Form::Text, Form::Number, Form::Flag]);

#[rustfmt::skip]
pub(super) static SETTINGS: Keys = Keys::optional(&[
    (FLAG, &[
        "agentPushNotifEnabled", "allowAllClaudeAiMcps", "allowClaudeInChromeWithManagedMcp", "allowManagedHooksOnly",
        "allowManagedMcpServersOnly", "allowManagedPermissionRulesOnly", "alwaysThinkingEnabled", "autoCompactEnabled",
        "autoContinueAtUsageLimit", "autoMemoryEnabled", "autoScrollEnabled", "awaySummaryEnabled", "axScreenReader",
        "bashEditDiffEnabled", "channelsEnabled", "disableAgentView", "disableAllHooks", "disableArtifact",
        "disableBrowserExternalNavigation", "disableBundledSkills", "disableClaudeAiConnectors",
        "disableCommandPluginSources", "disableDesktopLocalSessions", "disableMobileSimulatorTools",
        "disableRemoteControl", "disableSideloadFlags", "disableSkillShellExecution", "disableWorkflows",
        "emojiCompletionEnabled", "enableAllProjectMcpServers", "enableArtifact", "enableWorkflows",
        "enforceAvailableModels", "fastMode", "fastModePerSessionOptIn", "fileCheckpointingEnabled",
        "forceRemoteSettingsRefresh", "includeCoAuthoredBy", "includeGitInstructions", "inputNeededNotifEnabled",
        "isolatePeerMachines", "prefersReducedMotion", "promptSuggestionEnabled", "remoteControlAtStartup",
        "respectGitignore", "respondToBashCommands", "showClearContextOnPlanAccept", "showThinkingSummaries",
        "showTurnDuration", "skipAutoPermissionPrompt", "skipDangerousModePermissionPrompt", "skipWebFetchPreflight",
        "spinnerTipsEnabled", "switchModelsOnFlag", "syncClaudeAiPlugins", "syncClaudeAiSkills",
        "syntaxHighlightingDisabled", "terminalProgressBarEnabled", "terminalTitleFromRename", "ultracode",
        "useAutoModeDuringPlan", "verbose", "voiceEnabled", "wheelScrollAccelerationEnabled",
        "workflowKeywordTriggerEnabled", "wslInheritsWindowsSettings",
    ]),
    (TEXT, &[
        "$schema", "advisorModel", "agent", "apiKeyHelper", "autoMemoryDirectory", "awsAuthRefresh",
        "awsCredentialExport", "claudeMd", "forceLoginGatewayUrl", "gcpAuthRefresh", "keybindingFlavor", "language",
        "minimumVersion", "model", "otelHeadersHelper", "outputStyle", "plansDirectory", "pluginTrustMessage",
        "prUrlTemplate", "processWrapper", "requiredMaximumVersion", "requiredMinimumVersion", "theme", "timeZone",
    ]),
    (TEXTS, &[
        "allowedHttpHookUrls", "allowedProviders", "appendPlugins", "availableModels", "claudeMdExcludes",
        "companyAnnouncements", "deniedModels", "disabledMcpjsonServers", "enabledMcpjsonServers", "fallbackModel",
        "gatewayInternalNetworks", "httpHookAllowedEnvVars", "pluginSuggestionMarketplaces", "prependPlugins",
        "sshHostAllowlist",
    ]),
    (COUNT, &[
        "autoCompactWindow", "bashOutputMaxChars", "desktopSessionCleanupPeriodDays", "maxProseWidth",
        "taskOutputMaxChars",
    ]),
    (Form::Whole(1), &["cleanupPeriodDays", "skillListingMaxDescChars"]),
    (Form::Share, &["feedbackSurveyRate", "skillListingBudgetFraction"]),
    (DISABLE, &["disableAutoMode", "disableDeepLinkRegistration"]),
    (Form::Choice(&["latest", "stable", "rc"]), &["autoUpdatesChannel"]),
    (Form::Choice(&["prefix", "exact"]), &["availableModelsMatch"]),
    (Form::Choice(&["accept", "hold", "refuse"]), &["crossSessionInbound"]),
    (Form::Choice(&["bash", "powershell"]), &["defaultShell"]),
    (Form::Choice(&["notify", "quiet", "off"]), &["feedbackDrafts"]),
    (Form::Choice(&["first-wins", "merge"]), &["managedSourcesBehavior", "parentSettingsBehavior"]),
    (Form::Choice(&["default", "fullscreen"]), &["tui"]),
    (Form::Choice(&["small", "medium", "large", "unrestricted"]), &["workflowSizeGuideline"]),
    (Form::Word(&["60s", "5m", "10m", "never"]), &["askUserQuestionTimeout", "dialogExpiry"]),
    (Form::Word(&["disabled"]), &["browserExternalPageTools"]),
    (Form::Word(&["normal", "vim"]), &["editorMode"]),
    (Form::Word(&["low", "medium", "high", "xhigh"]), &["effortLevel"]),
    (Form::Word(&["low", "medium", "high", "xhigh", "max"]), &["maxEffortLevel"]),
    (Form::Word(&["claudeai", "console", "gateway"]), &["forceLoginMethod"]),
    (Form::Word(&[
        "auto", "terminal_bell", "iterm2", "iterm2_with_bell", "kitty", "ghostty", "notifications_disabled",
    ]), &["preferredNotifChannel"]),
    (Form::Word(&["5m", "1h"]), &["promptCacheTtl", "subagentPromptCacheTtl"]),
    (Form::Word(&["auto", "in-process", "tmux", "iterm2"]), &["teammateMode"]),
    (Form::Word(&["auto", "12-hour", "24-hour", "24-hour-utc"]), &["timeFormat"]),
    (Form::Word(&["default", "verbose", "focus"]), &["viewMode"]),
    (Form::OneOf(&[TEXT, TEXTS]), &["forceLoginOrgUUID"]),
    (Form::OneOf(&[FLAG, TEXTS]), &["strictPluginOnlyCustomization"]),
    (Form::OneOf(&[FLAG, Form::Keys(&nested::ATTRIBUTION)]), &["attribution"]),
    // Clients turn a number or a flag of the environment into text.
    (Form::Mapping(&SCALAR), &["env"]),
    (Form::Mapping(&TEXT), &["modelOverrides", "vimInsertModeRemaps"]),
    (Form::Mapping(&Form::Choice(&["on", "name-only", "user-invocable-only", "off"])), &["skillOverrides"]),
    (Form::Mapping(&Form::OneOf(&[FLAG, TEXTS])), &["enabledPlugins"]),
    (Form::Mapping(&Form::Mapping(&Form::Any)), &["managedMcpServers", "modelSettings"]),
    (Form::Mapping(&Form::Keys(&nested::MARKETPLACE)), &["extraKnownMarketplaces"]),
    (Form::Mapping(&Form::Keys(&nested::PLUGIN_CONFIG)), &["pluginConfigs"]),
    (Form::List(&Form::Keys(&nested::CHANNEL_PLUGIN)), &["allowedChannelPlugins"]),
    (Form::List(&Form::Keys(&nested::MCP_SERVER)), &["allowedMcpServers", "deniedMcpServers"]),
    (Form::List(&Form::Keys(&nested::MARKETPLACE_SOURCE)), &["blockedMarketplaces", "strictKnownMarketplaces"]),
    (Form::List(&Form::Keys(&nested::FOOTER_LINK)), &["footerLinksRegexes"]),
    (Form::List(&Form::Keys(&nested::SSH)), &["sshConfigs"]),
    (Form::Keys(&nested::AUTO_MODE), &["autoMode"]),
    (Form::Keys(&nested::COMMAND), &["fileSuggestion", "statusLine", "subagentStatusLine"]),
    (Form::Keys(&nested::HOOKS), &["hooks"]),
    (Form::Keys(&nested::MODEL_PICKER), &["modelPicker"]),
    (Form::Keys(&nested::MODEL_PRICING), &["modelPricing"]),
    (Form::Keys(&nested::PERMISSIONS), &["permissions"]),
    (Form::Keys(&nested::POLICY_HELPER), &["policyHelper"]),
    (Form::Keys(&nested::REMOTE), &["remote"]),
    (Form::Keys(&nested::SANDBOX), &["sandbox"]),
    (Form::Keys(&nested::SPELLCHECK), &["spellcheck"]),
    (Form::Keys(&nested::SPINNER_TIPS), &["spinnerTipsOverride"]),
    (Form::Keys(&nested::SPINNER_VERBS), &["spinnerVerbs"]),
    (Form::Keys(&nested::VOICE), &["voice"]),
    (Form::Keys(&nested::WORKTREE), &["worktree"]),
]);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::SETTINGS;

    #[test]
    fn each_key_has_one_form() {
        let names: Vec<_> = SETTINGS.forms.iter().flat_map(|(_, names)| *names).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(names.len() > 160, "{}", names.len());
    }
}
