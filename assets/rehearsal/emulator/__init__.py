"""The emulator behind `cdk-mlops rehearse`: the parts of AWS that a machine-learning platform needs, on one machine.

`emulator.sagemaker` plays SageMaker and knows its surroundings only through `emulator.host.Host`.
`emulator.ministack` supplies that host on top of MiniStack and serves everything over HTTP.
"""
