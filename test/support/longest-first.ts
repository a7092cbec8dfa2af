import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** What takes a minute is begun first; otherwise it would be left over at the end, for one worker alone. */
const LONGEST = [
  'test/chaos/functions.test.ts',
  'test/chaos/kills.test.ts',
  'test/chaos/functions-nodes.test.ts',
  'test/flows/start.test.ts',
  'test/flows/keys-rotation.test.ts',
  'src/features/credentials/hard.test.ts',
];

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return at === -1 ? LONGEST.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
