import { randomInt } from 'node:crypto';

/** At most 10, 10 and 6 letters: with two dashes under 34. */
const FRUITS =
  'apple apricot banana bilberry cherry citron clementine coconut cranberry currant damson date elderberry feijoa fig grape guava kiwi kumquat lemon lime lychee mango medlar melon mulberry nectarine olive orange papaya peach pear persimmon pineapple plum pomelo quince raspberry satsuma tamarind yuzu'.split(
    ' ',
  );
const ANIMALS =
  'alpaca badger beaver bison bobcat camel caribou chamois cheetah condor coyote crane dingo dolphin dormouse eagle egret falcon ferret finch gazelle gecko gibbon heron ibex iguana jackal jaguar kestrel koala lemur leopard lynx marmot marten meerkat mole moose newt ocelot otter owl panda pelican puffin quail rabbit raccoon raven robin seal shrew sparrow stoat swan tapir toucan turtle vole walrus weasel wombat wren yak zebra'.split(
    ' ',
  );
const COLOURS =
  'amber aqua azure beige black blue bronze brown copper coral cyan gold green grey indigo ivory jade khaki lilac lime maroon mauve navy ochre olive orange pink plum purple red rose ruby sepia silver tan teal violet white yellow'.split(
    ' ',
  );

/** For a workspace without a name: fruit-animal-colour, under 34 characters, one of about 100,000. */
export function generateName(): string {
  return [FRUITS, ANIMALS, COLOURS].map((words) => words[randomInt(words.length)]).join('-');
}
