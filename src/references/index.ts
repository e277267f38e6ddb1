export { ContainerImage } from './container-image';
export { ImageVersion, ScikitLearnVersion, XgboostVersion } from './image-versions';
export { S3Location } from './s3-location';
