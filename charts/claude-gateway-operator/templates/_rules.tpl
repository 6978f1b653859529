{{/*
What the operator may do with the objects of the namespaces it watches: the same list in a ClusterRole and in each Role.
Every rule has its reason, and a test finds every right used. Nothing here reads pods, nodes or namespaces, runs a command in
a pod, or grants a right; which optional APIs exist is discovered, and that everybody may.
*/}}
{{- define "operator.rules" -}}
# What it reconciles. People write these objects, the operator only reads them.
- apiGroups: [claude-gateway.dev]
  resources: [claudegateways, userpolicies]
  verbs: [list, watch]
# It says what became of them, by server-side apply.
- apiGroups: [claude-gateway.dev]
  resources: [claudegateways/status, userpolicies/status]
  verbs: [patch]
# Its objects name their gateway as an owner that waits for them, which the API server permits only with this.
- apiGroups: [claude-gateway.dev]
  resources: [claudegateways/finalizers]
  verbs: [update]
# The gateways' pods. It makes and mends its Deployments; who edits one by hand is corrected within seconds, so it watches.
# What every gateway has (this and the two rules below) is never deleted but with the gateway, by the garbage collector.
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch]
# A gateway's address, and the account of its pods, to which no right is ever bound.
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch]
# The rendered gateway.yaml, the signing keys and the pods' database password are Secrets it writes. It reads those that a
# gateway refers to and that carry `claude-gateway.dev/use: gateway`; RBAC cannot say a label, the operator's watch does.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch]
# The company's certificate authorities, where a gateway refers to them. Never written.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
# A drain takes one gateway pod at a time.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
# Gateways that scale with their load.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch, create, patch, delete]
# Who may reach a gateway's pods and whom they may reach; and the gateway's name, where it is exposed by an Ingress.
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, list, watch, create, patch, delete]
# The same by the Gateway API.
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
# A gateway's certificate, where an issuer is named. cert-manager makes the key; its Secret is only read.
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, delete]
# The scraping of a gateway's metrics.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors]
  verbs: [get, list, watch, create, patch, delete]
# It tells of transitions; a repeated event is a series, which is a patch.
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
