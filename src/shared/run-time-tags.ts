import { IResolvable, ITaggableV2, Lazy, Stack, TagManager, TagType } from 'aws-cdk-lib';
import { Construct } from 'constructs';

/**
 * The tags of something that is not a resource of the stack but is made at run time. It gets those that CloudFormation would give to
 * a resource of the type in this place: of the app (`Tags.of(app).add`), of each construct around it, and of the stack.
 */
export class RunTimeTags extends Construct implements ITaggableV2 {
  public readonly cdkTagManager: TagManager;

  /** @param resourceType what is made, as CloudFormation names it: `includeResourceTypes` and the like of `Tags` look at it */
  constructor(scope: Construct, id: string, resourceType: string) {
    super(scope, id);
    this.cdkTagManager = new TagManager(TagType.STANDARD, resourceType);
  }

  /**
   * A list of `Key` and `Value`; nothing at all where there are no tags. Resolved at synthesis: tags arrive by aspects.
   *
   * @param own tags beside those of the app
   */
  public render(own: { readonly [key: string]: string } = {}): IResolvable {
    return Lazy.any({
      produce: () => {
        const tags = Object.entries({ ...Stack.of(this).tags.tagValues(), ...this.cdkTagManager.tagValues(), ...own });
        return tags.length > 0 ? tags.map(([Key, Value]) => ({ Key, Value })) : undefined;
      },
    });
  }
}
