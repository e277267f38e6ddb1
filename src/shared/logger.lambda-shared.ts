import { LogFormatter, Logger, LogItem } from '@aws-lambda-powertools/logger';
import type { LogAttributes, UnformattedAttributes } from '@aws-lambda-powertools/logger/types';

class Formatter extends LogFormatter {
  public formatAttributes({ logLevel, message, timestamp, serviceName, xRayTraceId }: UnformattedAttributes, more: LogAttributes): LogItem {
    const attributes = { level: logLevel, message, timestamp: this.formatTimestamp(timestamp), service: serviceName, xray_trace_id: xRayTraceId };
    return new LogItem({ attributes }).addAttributes(more);
  }

  /** Errors of AWS clients also hold what the service answered, which may be data. */
  public override formatError({ name, message, stack }: Error): LogAttributes {
    return { name, message, stack };
  }
}

/** Writes one line of JSON for each event. Ids are keys of their own; bodies, headers and data are never logged. */
export const logger = new Logger({ serviceName: 'cdk-mlops', logFormatter: new Formatter() });
