import { pascalCase } from './pipeline-parameter';
import type { SchemaDocument } from '../data/schema-document';
import { Problems } from '../shared/validation';

type Problem = SchemaDocument['problemType'];

/** Where the metrics of each kind of problem stand in `evaluation.json`. */
const SECTIONS: Record<Problem, string> = {
  regression: 'regression_metrics',
  binary_classification: 'binary_classification_metrics',
  multiclass_classification: 'multiclass_classification_metrics',
};

/** The kinds of problem that a metric is for, and the values that it can take. */
interface MetricKind {
  readonly problems: readonly Problem[];
  readonly smallest: number;
  readonly greatest: number;
}

/** An error in some unit. */
const ERROR: MetricKind = { problems: ['regression'], smallest: 0, greatest: Infinity };
/** A share of the rows or of something else. */
const SHARE: MetricKind = { problems: ['binary_classification', 'multiclass_classification'], smallest: 0, greatest: 1 };

/**
 * Each metric by its name in `evaluation.json`. The evaluation always measures those with short names; any other is the function of
 * `sklearn.metrics` of that name, of the true and the predicted values or classes, and is measured where a gate asks for it.
 */
const METRICS = {
  mse: ERROR,
  rmse: ERROR,
  mae: ERROR,
  r2: { ...ERROR, smallest: -Infinity, greatest: 1 },
  accuracy: SHARE,
  precision: SHARE,
  recall: SHARE,
  f1: SHARE,
  auc: SHARE,
  balanced_accuracy_score: SHARE,
} satisfies { [metricName: string]: MetricKind };

/** A number that says how good a model is on the test data. */
export class ModelMetric {
  /** Mean squared error. Regression; smaller is better. */
  public static mse(): ModelMetric {
    return new ModelMetric('mse');
  }

  /** Square root of the mean squared error, in the unit of the target. Regression; smaller is better. */
  public static rmse(): ModelMetric {
    return new ModelMetric('rmse');
  }

  /** Mean absolute error, in the unit of the target. Regression; smaller is better. */
  public static mae(): ModelMetric {
    return new ModelMetric('mae');
  }

  /** Share of the variance that the model explains: 1 is perfect, 0 no better than the mean. Regression; greater is better. */
  public static r2(): ModelMetric {
    return new ModelMetric('r2');
  }

  /** Share of right answers. Classification; greater is better. */
  public static accuracy(): ModelMetric {
    return new ModelMetric('accuracy');
  }

  /** Share of right ones among those predicted as class 1, weighted over the classes if there are more than two. Classification. */
  public static precision(): ModelMetric {
    return new ModelMetric('precision');
  }

  /** Share of class 1 that was found, weighted over the classes if there are more than two. Classification. */
  public static recall(): ModelMetric {
    return new ModelMetric('recall');
  }

  /** Harmonic mean of precision and recall, weighted over the classes if there are more than two. Classification. */
  public static f1(): ModelMetric {
    return new ModelMetric('f1');
  }

  /** Area under the ROC curve, 0.5 for guessing; each class against the rest if there are more than two. Classification. */
  public static auc(): ModelMetric {
    return new ModelMetric('auc');
  }

  /**
   * Share of each class that was found, averaged over the classes: accuracy where one class is much more frequent than the others.
   * Classification; greater is better. Measured where a gate asks for it.
   */
  public static balancedAccuracy(): ModelMetric {
    return new ModelMetric('balanced_accuracy_score');
  }

  /** Name in `evaluation.json`, in messages and in the catalog. */
  public readonly metricName: string;

  private readonly kind: MetricKind;

  private constructor(name: keyof typeof METRICS) {
    this.metricName = name;
    this.kind = METRICS[name];
  }

  /** The model is registered only if the metric is not greater than this. */
  public atMost(limit: number): MetricLimit {
    return new MetricLimit(this, MetricComparison.AT_MOST, limit);
  }

  /** The model is registered only if the metric is not smaller than this. */
  public atLeast(limit: number): MetricLimit {
    return new MetricLimit(this, MetricComparison.AT_LEAST, limit);
  }

  /** @internal */
  public _check(problemType: Problem, limit: number, problems: Problems): void {
    const right = Object.entries(METRICS).filter(([, kind]) => kind.problems.includes(problemType)).map(([name]) => name);
    const { smallest, greatest } = this.kind;
    problems.check(this.kind.problems.includes(problemType), () =>
      `metric "${this.metricName}" says nothing about ${problemType}; metrics for it are ${right.join(', ')}`);
    problems.check(limit >= smallest && limit <= greatest && Number.isFinite(limit), () =>
      `limit ${limit} of metric "${this.metricName}" is outside the values it can take, ${smallest} to ${greatest}`);
  }
}

/** On which side of its limit a metric must be. */
export enum MetricComparison {
  /** Not greater than the limit. */
  AT_MOST = '<=',
  /** Not smaller than the limit. */
  AT_LEAST = '>=',
}

/** A limit that a metric must keep. */
export class MetricLimit {
  /** Name of the pipeline parameter that holds the limit, e.g. `MseThreshold`. A start of the pipeline can set another value. */
  public readonly parameterName: string;

  /** @internal */
  public constructor(
    /** The metric. */
    public readonly metric: ModelMetric,
    /** On which side of the limit the metric must be. */
    public readonly comparison: MetricComparison,
    /** The limit, unless a start of the pipeline gives another. */
    public readonly limit: number,
  ) {
    this.parameterName = `${pascalCase(metric.metricName)}Threshold`;
  }

  /** @internal */
  public _path(problemType: Problem): string {
    return `${SECTIONS[problemType]}.${this.metric.metricName}.value`;
  }
}

/** What a model must reach on the test data to be registered. */
export class QualityGate {
  /** All limits must be kept. Each is a parameter of the pipeline, so that a start can change it without a deployment. */
  public static of(...limits: MetricLimit[]): QualityGate {
    return new QualityGate(limits);
  }

  /**
   * A floor under which a model is of no use: R² of 0.2 in a regression, an area under the ROC curve of 0.65 in a classification.
   * State limits of your own as soon as you know your data.
   * @internal
   */
  public static _default(problemType: Problem): QualityGate {
    return QualityGate.of(problemType === 'regression' ? ModelMetric.r2().atLeast(0.2) : ModelMetric.auc().atLeast(0.65));
  }

  private constructor(
    /** The limits, in order. */
    public readonly limits: MetricLimit[],
  ) {}

  /** @internal */
  public _check(problemType: Problem, problems: Problems): void {
    problems.check(this.limits.length > 0, () => 'gate: it has no limit; give at least one, e.g. ModelMetric.mse().atMost(6)');
    const names = this.limits.map(({ metric }) => metric.metricName);
    names.filter((name, index) => names.indexOf(name) !== index).forEach((name) =>
      problems.check(false, () => `gate: metric "${name}" has more than one limit`));
    this.limits.forEach(({ metric, limit }) => metric._check(problemType, limit, problems));
  }
}
