"""The only place that knows Prefect, DVC and MLflow: command line, flow, workspace, tracking."""
