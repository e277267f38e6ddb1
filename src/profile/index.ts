export { AutoscaledCapacityOptions, Capacity, FixedSizeCapacityOptions } from './capacity';
export { CommonProps } from './common-props';
export { ModelApproval, StageProfile, StageProfileOptions } from './stage-profile';
