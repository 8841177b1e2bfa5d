//! English function words: articles, pronouns, prepositions, conjunctions, auxiliaries, and the commonest adverbs,
//! quantifiers and numerals.

pub(super) const STOP_WORDS: &str = "\
a an the this that these those \
i me my mine myself we us our ours ourselves you your yours yourself yourselves \
he him his himself she her hers herself it its itself they them their theirs themselves one ones \
who whom whose which what whoever whatever whichever someone somebody something anyone anybody anything \
everyone everybody everything none nobody nothing each other another others \
about above across after against along among amongst around as at before behind below beneath beside besides between \
beyond by despite down during except for from in inside into like near of off on onto out outside over past per since \
than through throughout till to toward towards under underneath until unlike up upon via with within without \
and but or nor so yet if because although though while whereas unless whether either neither both not only \
is am are was were be been being do does did done doing have has had having will would shall should can could may might \
must ought need dare isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't won't wouldn't shouldn't \
can't cannot couldn't mustn't i'm i've i'll i'd you're you've you'll you'd he's she's it's we're we've we'll they're \
they've they'll that's there's what's who's let's isn’t aren’t wasn’t weren’t don’t doesn’t didn’t haven’t hasn’t \
won’t wouldn’t shouldn’t can’t couldn’t i’m i’ve i’ll i’d you’re you’ve you’ll he’s she’s it’s we’re we’ve we’ll \
they’re they’ve that’s there’s what’s let’s \
when where why how whenever wherever however here there now then again once ever never always often sometimes usually \
still already just also too very quite rather almost enough even much many more most less least few several some any all \
no every such same own well far away back together perhaps maybe indeed thus therefore hence otherwise instead later \
soon ago first last next new old good great high long little small large big different early able \
two three four five six seven eight nine ten hundred thousand million second third half \
make made makes making get got gets getting go goes went gone going come comes came take took taken use used using uses \
say says said see saw seen know known knows think give given gave find found show shown become became call called \
keep kept let seem seems want put include including included based according due rather along \
people time times year years day days way part number world work life man men woman women place thing things end \
called known during under whole itself";
