module claude-gateway.dev/e2e/chart/helm3

go 1.26

require helm.sh/helm/v3 v3.22.0

tool helm.sh/helm/v3/cmd/helm
