"""English words that say nothing about taste: our own list for the word graph and the entity linker.

KGSF drops stop-words before it looks words up in ConceptNet (section 3.1), but its list is not part of the paper. This
one was written by hand: function words, auxiliaries, clitics as `tokenize` cuts them, contractions typed without the
apostrophe, numbers in letters, and the small talk of a chat. Adjectives that describe a film are not here.
"""

from __future__ import annotations

_ARTICLES_AND_PRONOUNS = """
a an the this that these those i me my mine myself you your yours yourself yourselves u ur he him his himself she her
hers herself it its itself we us our ours ourselves they them their theirs themselves who whom whose which what
whatever whichever whoever someone somebody something somewhere anyone anybody anything anywhere everyone everybody
everything everywhere nobody nothing nowhere none one ones another other others each either neither both all any some
many much few several most more less least enough such own same else thing things stuff kind kinds sort sorts type
types lot lots bit
"""
_AUXILIARIES = """
am is are was were be been being do does did doing done have has had having can could may might must shall should will
would ought need needs needed dare used ca wo sha ai n't 's 're 've 'll 'd 'm gon na wan got ta gonna wanna gotta lem
gim let lets cannot cant dont doesnt didnt wont wouldnt couldnt shouldnt isnt arent wasnt werent hasnt havent hadnt aint
im ive ill id youre youve youll youd hes shes theyre theyve theyll weve thats theres heres whats wheres hows whos
"""
_VERBS = """
get gets getting gotten go goes going gone went come comes coming came make makes making made take takes taking took
taken give gives giving gave given put puts say says said saying tell tells told telling ask asks asked asking know
knows knew known knowing think thinks thought thinking guess mean means meant see sees saw seen seeing look looks
looked looking find finds found finding try tries tried trying want wants wanted wanting seem seems seemed keep keeps
kept hear heard hears check checked checking watch watched watching watches suggest suggests suggested suggesting
recommend recommends recommended recommending happen happens happened start started end ended believe remember forget
forgot feel feels felt help helps helped use using talk talking hope hoping sound sounds sounded
"""
_PREPOSITIONS_AND_CONJUNCTIONS = """
about above across after against along alongside amid among around as at before behind below beneath beside besides
between beyond but by despite down during except for from in inside into like near of off on onto opposite out outside
over past per since than through throughout till to toward towards under underneath until unto up upon versus via vs
with within without and or nor so yet if because although though unless while whereas whether when whenever where
wherever why how however therefore thus hence otherwise instead
"""
_ADVERBS = """
again ago almost alone already also always anyway anyways apart aside away back barely basically actually certainly
clearly completely currently definitely especially essentially even eventually ever exactly extremely fairly finally
first further generally hardly here honestly indeed initially just kinda last lately later likely literally maybe mainly
merely mostly namely nearly never next not now nowadays obviously occasionally often once only originally particularly
perhaps possibly pretty primarily probably quite rather really recently relatively right seldom seriously similarly
simply slightly somehow sometime sometimes somewhat soon sorta specifically still suddenly supposedly surely then there
thereby thereof together too totally truly twice typically unfortunately usually utterly very well yesterday today
tonight tomorrow
"""
_ADJECTIVES = """
able available certain different due entire every extra former full half large latter main major minor other overall
particular possible previous recent respective similar single specific sure total usual various whole
"""
_NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred thousand million
second third couple dozen
"""
_SMALL_TALK = """
hi hello hey heya hiya howdy yo greetings welcome bye goodbye byebye cya later morning afternoon evening good day night
thanks thank thx ty please pls plz sorry pardon excuse ok okay okey kk alright yes yeah yep yup yea ya no nope nah
sure cool great nice awesome oh ooh ah aha ahh hm hmm hmmm uh um umm er well wow whoa haha hahaha hehe lol lmao omg btw
imo imho tbh idk etc eg ie ps am pm movie movies film films flick flicks one
"""

STOP_WORDS: frozenset[str] = frozenset(
    " ".join(
        (
            _ARTICLES_AND_PRONOUNS,
            _AUXILIARIES,
            _VERBS,
            _PREPOSITIONS_AND_CONJUNCTIONS,
            _ADVERBS,
            _ADJECTIVES,
            _NUMBERS,
            _SMALL_TALK,
        )
    ).split()
)
"""Lower-case words; compare with `token.lower()`."""
