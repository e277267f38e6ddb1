"""The only part that knows MiniStack: everything here depends on internals of one pinned version.

`server` starts it and installs the others, each of which has `install(emulator)`:

- `iam` evaluates and counts, `local_host` is the `Host` of the played services,
- `cloudformation`, `custom_resources` and `not_rehearsed` deploy what MiniStack does not know or gets wrong,
- `sagemaker_http`, `autoscaling` answer for services that it does not have,
- `events`, `apigateway`, `storage` correct what differs from AWS,
- `glue`, `stepfunctions`, `lambdas` run jobs, workflows and functions,
- `control` answers the command line.

`contract.check()` gives one line for each thing used here that a newer MiniStack has changed.
"""

PINNED_VERSION = "1.5.33"
"""Version of MiniStack that everything in this folder was written against."""
