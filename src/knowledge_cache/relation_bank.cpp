#include "knowledge_cache/relation_bank.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace pmt::knowledge_cache {
namespace {

// One relation a line: its name, then how people ask for it; {} is the thing that is asked about.
constexpr const char* kRelations[] = {
    "author|Who wrote {}?|Which writer is behind {}?|Whose book is {}?|By whom was {} written?",
    "publisher|Which house published {}?|Who brought {} to print?|By which press was {} issued?|Who puts "
    "out {}?",
    "number of pages|How many pages does {} have?|How thick is {}?|How long a read is {}?|What is the "
    "page count of {}?",
    "main character|Who is the hero of {}?|Around whom does the story of {} turn?|Which figure is at the "
    "centre of {}?|Who is the protagonist in {}?",
    "director|Who directed {}?|Which filmmaker shot {}?|Who sat in the director's chair for {}?|Whose "
    "film is {}?",
    "lead actor|Who stars in {}?|Who played the leading part in {}?|Which actress or actor heads the "
    "cast of {}?|Whose face is on the poster of {}?",
    "composer|Who composed {}?|Who wrote the music for {}?|Whose score is heard in {}?|Which musician "
    "created {}?",
    "running time|How many minutes does {} run?|How long do I sit through {}?|What is the length in "
    "minutes of {}?|When is {} over if it begins at eight?",
    "release date|When did {} come out?|On which day was {} released?|Since when has {} been "
    "available?|When did {} first hit the shops?",
    "genre|In which style is {}?|How would you classify {}?|What kind of music does {} play?|Which "
    "category does {} fall into?",
    "record label|Which company releases the music of {}?|With whom did {} sign a record deal?|Which "
    "label is {} on?|Who publishes the albums of {}?",
    "band members|Who plays in {}?|Which musicians make up {}?|Who belongs to the line-up of {}?|Who is "
    "in {}?",
    "capital|Which city is the seat of government of {}?|From which city is {} ruled?|Where does the "
    "government of {} sit?|What is the chief city of {}?",
    "currency|What money do they use in {}?|With what do people pay in {}?|Which coins are accepted in "
    "{}?|What cash do I need in {}?",
    "official language|What do people speak in {}?|Which tongue is used in {}?|In what language are "
    "signs written in {}?|Which language should I learn for {}?",
    "population|How many inhabitants does {} have?|How many people live in {}?|How populous is {}?|How "
    "many residents are counted in {}?",
    "surface area|How many square kilometres is {}?|How much land does {} cover?|How large is {} in "
    "extent?|Over how many hectares does {} spread?",
    "highest point|What is the tallest mountain of {}?|Which peak towers over {}?|How high up can I "
    "climb in {}?|Which summit is the highest in {}?",
    "river|Which river flows through {}?|On what water does {} lie?|What stream runs past {}?|On the "
    "banks of which river is {}?",
    "climate|What is the weather like in {}?|Is it warm or cold in {}?|How much does it rain in {}?|What "
    "temperatures should I expect in {}?",
    "president|Who governs {}?|Who is the head of state of {}?|Who leads the country of {}?|Who was "
    "elected to rule {}?",
    "mayor|Who runs the town hall of {}?|Who is the first citizen of {}?|Which politician governs the "
    "city of {}?|Who is in charge of the municipality of {}?",
    "continent|On which continent is {}?|In what part of the world is {}?|Is {} in Asia or Africa?|Which "
    "landmass does {} belong to?",
    "neighbouring countries|Which states border {}?|Who shares a frontier with {}?|What countries lie "
    "next to {}?|Which lands surround {}?",
    "national dish|What do they eat in {}?|Which meal is typical of {}?|What food is {} known for?|Which "
    "speciality should I taste in {}?",
    "time zone|What time is it in {}?|How many hours ahead is {}?|How is the clock set in {}?|How far "
    "behind London is {}?",
    "postal code|What zip code does {} have?|Which digits go on a letter to {}?|Under which postcode is "
    "{} found?|What is the ZIP of {}?",
    "area code|What dialling prefix does {} have?|Which digits come first when ringing {} from "
    "outside?|What is the phone prefix of {}?|How do numbers in {} begin?",
    "airport|Where do I land when flying to {}?|Which airfield serves {}?|Where do planes to {} touch "
    "down?|What is the nearest place to fly into for {}?",
    "nearest station|Where do I get off the train for {}?|Which stop is closest to {}?|How do I reach {} "
    "by rail?|At what station do I leave the tube for {}?",
    "height|How tall is {}?|How high does {} rise?|How many metres up does {} go?|How far above the "
    "ground is the top of {}?",
    "length|How long is {} from end to end?|How far does {} stretch?|How many metres does {} "
    "extend?|What distance does {} span?",
    "depth|How deep is {}?|How far down does {} go?|How many metres below the surface is the bottom of "
    "{}?|What is the deepest spot in {}?",
    "width|How wide is {}?|How broad is {}?|How far is it from one side of {} to the other?|How many "
    "centimetres across is {}?",
    "religion|Which faith does {} follow?|What does {} believe in?|Which church does {} belong to?|To "
    "whom does {} pray?",
    "occupation|What does {} do for a living?|What is the job of {}?|How does {} earn money?|In which "
    "profession does {} work?",
    "job title|What position does {} hold?|What is written on the business card of {}?|What is {} called "
    "in the organisation chart?|Which post does {} fill?",
    "department|In which team does {} work?|Which division does {} belong to?|Where in the company is {} "
    "employed?|What unit is {} part of?",
    "supervisor|To whom does {} report?|Who is the boss of {}?|Who tells {} what to do?|Who oversees the "
    "work of {}?",
    "assistant|Who helps {} with appointments?|Who is the secretary of {}?|Who keeps the calendar of "
    "{}?|Who works as the right hand of {}?",
    "office room|In which room does {} sit?|At what door do I knock to see {}?|Where in the building is "
    "the desk of {}?|On which floor do I find {}?",
    "badge number|Which personnel id does {} have?|What digits are on the staff card of {}?|Under what "
    "number is {} in the payroll?|What is the employee number of {}?",
    "nationality|Which passport does {} hold?|Of which country is {} a citizen?|What country does {} "
    "belong to?|What is {} by citizenship?",
    "mother|Who gave birth to {}?|Who is the mum of {}?|Which woman raised {}?|Who is the female parent "
    "of {}?",
    "father|Who is the dad of {}?|Whose son or daughter is {}?|Which man fathered {}?|Who is the male "
    "parent of {}?",
    "number of children|How many kids does {} have?|How many sons and daughters has {}?|How big is the "
    "family of {}?|How many little ones does {} look after?",
    "children's names|What are the kids of {} called?|Who are the sons and daughters of {}?|What names "
    "did {} give the children?|Who is the child of {}?",
    "sibling|Who is the brother or sister of {}?|With whom did {} share parents?|Which sister does {} "
    "have?|What is the brother of {} called?",
    "best friend|Who is closest to {}?|With whom does {} spend most time?|Who is the best mate of "
    "{}?|Which pal does {} trust most?",
    "middle name|What stands between the first and last name of {}?|What does the initial in the name of "
    "{} stand for?|What is the second given name of {}?|Which middle name does {} bear?",
    "maiden name|What was {} called before marriage?|What was the family name of {} at birth?|Under "
    "which surname was {} born?|How was {} named as a girl?",
    "nickname|What do friends call {}?|By what other name is {} known?|What is {} called "
    "informally?|What is the short form people use for {}?",
    "university|Where did {} study?|Which school did {} graduate from?|Where did {} get a degree?|At "
    "which college was {} educated?",
    "degree subject|What did {} study?|In which field did {} graduate?|What was the major of {}?|Which "
    "discipline did {} read at college?",
    "thesis topic|What did {} write a dissertation about?|On which question did {} do a doctorate?|What "
    "was the doctoral research of {}?|About what is the PhD of {}?",
    "award|Which prize did {} win?|What honour was given to {}?|For what was {} decorated?|Which medal "
    "did {} receive?",
    "date of death|When did {} die?|In which year did {} pass away?|Until when did {} live?|When was the "
    "funeral of {}?",
    "cause of death|How did {} die?|What killed {}?|From what illness did {} pass away?|What ended the "
    "life of {}?",
    "burial place|Where is {} buried?|Where is the grave of {}?|In which cemetery does {} rest?|Where "
    "can I lay flowers for {}?",
    "home address|Where does {} live?|In which house does {} reside?|Where should I send a letter for {} "
    "at home?|What is the residence of {}?",
    "hobby|What does {} do for fun?|How does {} spend free time?|What leisure activity does {} "
    "enjoy?|What is the pastime of {}?",
    "pet|What animal does {} keep?|Does {} have a dog or a cat?|Which creature lives with {}?|What is "
    "the pet of {}?",
    "favourite colour|Which shade does {} like best?|What hue does {} prefer?|In which colour should I "
    "paint a present for {}?|What colour is dearest to {}?",
    "favourite drink|What does {} like to drink?|Which beverage should I bring {}?|What can I pour {} to "
    "make them happy?|What does {} order at the bar?",
    "instrument|What does {} play in the orchestra?|Which instrument has {} mastered?|Is {} a pianist or "
    "a violinist?|On what does {} make music?",
    "sport|Which sport does {} practise?|What game does {} play?|In which discipline does {} "
    "compete?|What does {} train for?",
    "shirt number|Which number does {} wear?|What is on the back of the jersey of {}?|Under what number "
    "does {} take the field?|Which digit does the player {} have?",
    "playing position|Where on the field does {} play?|Is {} a striker or a keeper?|What role does {} "
    "have in the team?|In which position is {} used?",
    "home stadium|Where does {} play home games?|Which ground belongs to {}?|In what arena do fans cheer "
    "for {}?|Where are the matches of {} held?",
    "coach|Who trains {}?|Who is the manager of the team {}?|Who stands on the sideline for {}?|Which "
    "trainer looks after {}?",
    "shoe size|Which size of shoes does {} take?|How big are the feet of {}?|What shoes fit {}?|What "
    "number do I ask for when buying boots for {}?",
    "blood type|Which blood group does {} have?|What blood can be given to {}?|Which transfusion suits "
    "{}?|Is {} A positive or O negative?",
    "allergy|What must {} not eat?|To what does {} react badly?|Which substances make {} sick?|What "
    "should be kept away from {}?",
    "doctor|Which physician treats {}?|Who takes medical care of {}?|Who is seeing {} at the "
    "clinic?|Whose patient is {}?",
    "medication|Which pills does {} take?|What drug was prescribed to {}?|What medicine is {} on?|What "
    "does {} swallow every morning?",
    "salary|How much does {} get paid?|What does {} take home each month?|What wage does {} receive?|How "
    "well is {} remunerated?",
    "bank account|Where do I transfer money for {}?|Into which account does {} get paid?|How do I wire "
    "funds to {}?|What is the IBAN of {}?",
    "tax number|Under which fiscal id is {} registered?|How does the revenue office identify {}?|What "
    "VAT id does {} have?|Which taxpayer number belongs to {}?",
    "email address|Where do I send an electronic message to {}?|How can I write online to {}?|To which "
    "inbox do I mail {}?|At what e-mail do I contact {}?",
    "website|On which internet page do I find {}?|What link leads to {}?|Where is {} online?|Which URL "
    "belongs to {}?",
    "password|What is the secret word to log in to {}?|How do I unlock {}?|What do I type to get access "
    "to {}?|Which passphrase opens {}?",
    "user name|Under which account name does {} log in?|What is the login of {}?|What handle does {} "
    "use?|As who is {} registered?",
    "fax number|Where do I fax documents for {}?|On what line does the fax machine of {} answer?|Which "
    "number takes faxes for {}?|How do I send a fax to {}?",
    "owner|Who owns {}?|To whom does {} belong?|Who holds the rights to {}?|Whose property is {}?",
    "parent company|Which corporation is {} part of?|Which group controls {}?|Who bought {}?|Of which "
    "holding is {} a subsidiary?",
    "annual revenue|How much does {} earn per year?|What are the yearly sales of {}?|How much turnover "
    "does {} make?|What income does {} report?",
    "profit|How much did {} gain last year?|What is left for {} after costs?|Is {} making money?|How big "
    "is the surplus of {}?",
    "main competitor|Who rivals {}?|Against whom does {} compete?|Who fights {} for customers?|Which "
    "firm is the strongest opponent of {}?",
    "biggest customer|Who buys most from {}?|Which client matters most to {}?|Who is the top account of "
    "{}?|To whom does {} sell the most?",
    "main product|What does {} sell?|What is {} best known for making?|What does {} produce?|What do "
    "customers buy from {}?",
    "industry|In which sector does {} operate?|What business is {} in?|In what field is {} active?|Which "
    "branch of trade does {} belong to?",
    "founder|Who started {}?|Who set up {}?|By whom was {} created?|Who established {}?",
    "chief financial officer|Who looks after the money at {}?|Who signs the accounts of {}?|Who is "
    "responsible for finance at {}?|Who is the CFO of {}?",
    "spokesperson|Who talks to the press for {}?|Who is the voice of {}?|Whom do journalists call at "
    "{}?|Who answers media questions for {}?",
    "auditor|Who checks the books of {}?|Which firm audits {}?|Who examines the accounts of {}?|Who "
    "certifies the figures of {}?",
    "lawyer|Who represents {} in court?|Which attorney advises {}?|Who handles legal matters for "
    "{}?|Whose law office works for {}?",
    "slogan|What motto does {} use?|Which phrase does {} advertise with?|What is the catchphrase of "
    "{}?|What line stands under the logo of {}?",
    "logo|What is shown on the emblem of {}?|Which symbol stands for {}?|What does the sign of {} look "
    "like?|What picture does {} use as its mark?",
    "mascot|Which animal or figure represents {}?|Who jumps around in costume for {}?|What character "
    "stands for {}?|What is the lucky figure of {}?",
    "delivery day|When does {} get shipped?|On which day is {} brought to us?|When will {} arrive at the "
    "door?|When is the parcel with {} due?",
    "delivery cost|What is the shipping charge for {}?|How much is the postage for {}?|What do I pay to "
    "have {} sent?|How expensive is it to ship {}?",
    "order number|Under which reference was {} ordered?|What id does the purchase of {} have?|Which "
    "number do I quote for {}?|How is the order of {} filed?",
    "serial number|Which number is engraved on {}?|How is the unit {} identified?|What is on the type "
    "plate of {}?|What S/N does {} carry?",
    "stock quantity|How many of {} are left?|How much of {} do we have in store?|How many pieces of {} "
    "are available?|What is the inventory of {}?",
    "supplier|Who provides us with {}?|Where do we order {}?|From whom do we get {}?|Which vendor sells "
    "us {}?",
    "return period|Within how many days can I send {} back?|Until when can I give {} back?|How long may "
    "I change my mind about {}?|By when must {} be returned?",
    "expiry date|Until when can {} be used?|When does {} go bad?|How long does {} keep?|After which day "
    "must {} be thrown away?",
    "storage temperature|How cold must {} be kept?|At how many degrees should {} be stored?|Does {} "
    "belong in the fridge?|How warm may {} get on the shelf?",
    "material|What is {} made of?|From which stuff is {} built?|Is {} wood or metal?|Out of what is {} "
    "manufactured?",
    "size|What are the dimensions of {}?|Which fit should I order of {}?|Is {} small, medium or "
    "large?|What are the measurements of {}?",
    "capacity|How many litres does {} hold?|How much fits into {}?|What volume has {}?|How much can be "
    "poured into {}?",
    "voltage|How many volts does {} need?|Which power supply does {} take?|What electricity does {} run "
    "on?|Can {} be plugged into 230 V?",
    "power consumption|How many watts does {} draw?|How much electricity does {} use?|What does {} burn "
    "per hour?|How hungry for energy is {}?",
    "battery life|How long does {} last on a charge?|After how many hours must I plug in {}?|How soon is "
    "{} empty?|How much stamina has the battery of {}?",
    "charging time|How long does {} take to fill its battery?|After how many minutes at the socket is {} "
    "full?|How fast does {} charge?|When is {} ready again after plugging in?",
    "engine|What motor drives {}?|What powers {}?|What is under the bonnet of {}?|Which machine turns "
    "the wheels of {}?",
    "top speed|How fast can {} go?|How quickly does {} move at most?|How many kilometres per hour does "
    "{} reach?|What is the maximum velocity of {}?",
    "fuel|What do I put in the tank of {}?|Does {} run on diesel or petrol?|With what is {} filled "
    "up?|Which petrol does {} take?",
    "range|How far does {} get on one tank?|How many kilometres can {} travel without a stop?|What "
    "distance does {} manage?|After how many miles is {} empty?",
    "licence plate|What registration does {} have?|What is on the number plate of {}?|Under which plate "
    "is {} registered?|How do I recognise {} in the car park?",
    "crew size|How many sailors serve on {}?|How many people work aboard {}?|How large is the crew of "
    "{}?|How many hands does {} need?",
    "captain|Who commands {}?|Who steers {}?|Who is the skipper of {}?|Under whose command does {} sail?",
    "home port|Where is {} registered as a ship?|From which harbour does {} sail?|To which port does {} "
    "return?|Where is {} moored?",
    "launch date|When was {} put into the water or sent up?|When did {} lift off?|On what day did {} go "
    "live?|Since when is {} in service?",
    "screen size|How many inches has {}?|How big is the display of {}?|What diagonal does {} have?|How "
    "large is the monitor of {}?",
    "memory|How much RAM is in {}?|How many gigabytes does {} offer?|How much can I save on {}?|What "
    "storage comes with {}?",
    "processor|Which chip is inside {}?|What CPU does {} use?|On what processor is {} based?|What does "
    "{} compute with?",
    "operating system|On what platform does {} run?|Does {} need Windows or Linux?|Which computers can "
    "use {}?|With which OS does {} work?",
    "server name|On which machine is {} hosted?|Which host runs {}?|Where is {} deployed?|On what box "
    "does {} live?",
    "port number|On which port does {} listen?|Through which TCP port do I reach {}?|What comes after "
    "the colon in the address of {}?|At which socket does {} answer?",
    "IP address|Under which IP is {} reachable?|What is the network address of {}?|Which four numbers "
    "lead to {}?|How is {} addressed on the network?",
    "repository|Where is the source code of {} kept?|From where do I clone {}?|In which git project is "
    "{}?|Where do I check out {}?",
    "tester|Who checks {} for bugs?|Who does quality control on {}?|Who tries out {} before launch?|Who "
    "signs off the tests of {}?",
    "customer of project|For whom is {} being built?|Who ordered {}?|Which client pays for {}?|Who will "
    "receive {}?",
    "number of users|How many people use {}?|How many accounts does {} have?|How widely is {} used?|How "
    "many customers are signed up to {}?",
    "error code|What number does {} show when it fails?|Which fault does {} report?|What message appears "
    "when {} breaks?|What does {} display in case of trouble?",
    "backup time|When is {} backed up?|At what hour is {} copied to safety?|How often is a copy of {} "
    "made?|When does the nightly save of {} run?",
    "maintenance day|When is {} serviced?|On which day is {} down for repairs?|When does the technician "
    "come for {}?|When is the next check-up of {}?",
    "main ingredient|What goes into {}?|What is {} cooked from?|What do I need to buy to make {}?|What "
    "is inside {}?",
    "calories|How fattening is {}?|How much energy does {} contain?|Is {} good for my diet?|How many "
    "kcal are in {}?",
    "cooking time|How long must {} be in the oven?|How many minutes does {} need to cook?|When is {} "
    "done?|For how long do I boil {}?",
    "oven temperature|How hot should I bake {}?|At how many degrees is {} roasted?|What heat does {} "
    "need?|How do I set the oven for {}?",
    "taste|What does {} taste like?|Is {} sweet or sour?|How is the flavour of {}?|Which aroma has {}?",
    "spiciness|How hot is {}?|Will {} burn my tongue?|How much chilli is in {}?|Is {} mild?",
    "alcohol content|How strong is {}?|How many percent has {}?|Does {} contain alcohol?|How drunk does "
    "{} make one?",
    "inventor|Who came up with {}?|Who first thought of {}?|Whose idea was {}?|Who devised {}?",
    "discovery year|When was {} found?|Since when do we know of {}?|When did scientists come upon {}?|In "
    "which year was {} first seen?",
    "chemical formula|How is {} written in chemistry?|Which atoms make up {}?|What is the molecule of "
    "{}?|What symbols describe {}?",
    "melting point|At what temperature does {} turn liquid?|How hot must it be for {} to melt?|When does "
    "{} become fluid?|At how many degrees does {} melt?",
    "habitat|Where does the animal {} live?|In which environment is {} found?|Where can I watch {} in "
    "the wild?|In what kind of landscape does {} thrive?",
    "diet|What does the animal {} eat?|On what does {} feed?|What is the prey of {}?|What do I feed {}?",
    "lifespan|How old does {} get?|How many years does {} live?|What age does {} reach?|How long is the "
    "life of {}?",
    "number of rooms|How many bedrooms are there in {}?|How much space does {} offer for guests?|Into "
    "how many rooms is {} divided?|How many chambers has {}?",
    "number of floors|How many storeys does {} have?|How many levels has {}?|Up to which floor does the "
    "lift of {} go?|How many stairs of rooms are stacked in {}?",
    "room rate|What does a night at {} cost?|How much is it to sleep at {}?|What do they charge for a "
    "bed in {}?|How expensive is a stay at {}?",
    "check-in time|From when can I get my room at {}?|When may guests arrive at {}?|At what hour are the "
    "keys of {} handed out?|How early can I move into {}?",
    "check-out time|Until when must I leave the room at {}?|When do guests depart from {}?|By what hour "
    "must the key of {} be returned?|How late may I stay at {} on the last day?",
    "breakfast time|When is the morning meal at {}?|From when can I have breakfast at {}?|At what hour "
    "is coffee served in {}?|How long is breakfast available at {}?",
    "wifi name|Which network do I join at {}?|How do I get online at {}?|What is the wireless called at "
    "{}?|Which SSID does {} have?",
    "wifi password|What key opens the wireless at {}?|What do I enter to use the internet at {}?|Which "
    "code unlocks the wifi of {}?|What is the network password of {}?",
    "parking|Where can I leave my car at {}?|Where do visitors of {} park?|Which garage belongs to "
    "{}?|In what lot do I park for {}?",
    "seating capacity|How many seats are there in {}?|How many spectators fit in {}?|How many can sit in "
    "{}?|For how many guests is {} built?",
    "chef|Who cooks at {}?|Who runs the kitchen of {}?|Whose dishes are served at {}?|Who is at the "
    "stove in {}?",
    "sponsor|Who finances {}?|Which firm pays for {}?|Whose logo is on {}?|Who gives money to {}?",
    "duration|How long does {} take?|How many days does {} last?|For how long does {} go on?|How much "
    "time should I plan for {}?",
    "end date|When does {} end?|On what day is {} over?|Until when does {} run?|When does {} close for "
    "good?",
    "frequency|How often does {} happen?|Every how many years is {} held?|Is {} weekly or monthly?|How "
    "regularly does {} take place?",
    "winner|Who came first in {}?|Who won {}?|Which team took the trophy at {}?|Who beat everybody at {}?",
    "prize money|How much does the winner of {} get?|What is there to win at {}?|How big is the reward "
    "in {}?|What sum is paid out at {}?",
    "organiser|Who puts on {}?|Who arranges {}?|Which body sets up {}?|Who is behind the organisation of "
    "{}?",
    "moderator|Who hosts {}?|Who leads through the programme of {}?|Who presents {}?|Who holds the "
    "microphone at {}?",
    "theme|What is {} about?|Which topic does {} deal with?|Under what motto does {} stand?|What subject "
    "is treated in {}?",
    "meeting room|In which room is {} held?|Behind which door does {} meet?|Where in the building is "
    "{}?|What room was booked for {}?",
    "registration deadline|Until when can I sign up for {}?|By when must I enrol in {}?|When does "
    "booking for {} close?|What is the last day to register for {}?",
    "teacher|Who teaches {}?|Who gives the lessons of {}?|Whose class is {}?|Which professor lectures in "
    "{}?",
    "course level|How difficult is {}?|Is {} for beginners?|What must I know before {}?|For whom is {} "
    "suited?",
    "number of students|How many pupils attend {}?|How many learn at {}?|How large is the class of "
    "{}?|How many are enrolled in {}?",
    "visa requirement|Do I need a permit to enter {}?|What papers are needed to travel to {}?|Can I go "
    "to {} without a visa?|Which stamp do I need for {}?",
    "emergency number|Whom do I call in an emergency in {}?|What do I dial for an ambulance in {}?|How "
    "do I alarm the police of {}?|Which number helps in danger at {}?",
    "insurance company|Who insures {}?|With which firm is {} covered?|Who pays if {} is damaged?|Where "
    "is the policy for {}?",
    "policy number|Under which number is {} insured?|What is the contract number of {}?|Which id is on "
    "the insurance of {}?|How is the policy of {} numbered?",
    "interest rate|How many percent does {} pay?|What does borrowing with {} cost?|What return does {} "
    "give?|How high is the interest on {}?",
    "age limit|How old must one be for {}?|From what age may children use {}?|Is {} allowed for "
    "teenagers?|Who is too young for {}?",
    "gate|From which gate does {} leave?|Where do I board {}?|To what exit do I go for {}?|At which "
    "platform is {}?",
    "departure time|When does {} leave?|At what hour does {} take off?|How early must I be there to "
    "catch {}?|When does {} set off?",
    "arrival time|When does {} get in?|At what hour does {} land?|When should I pick you up from "
    "{}?|When will {} be here?",
    "destination|Where does {} go?|To which city does {} travel?|What is the last stop of {}?|Where will "
    "{} take me?",
    "airline|Who operates {}?|With which carrier do I fly on {}?|Whose plane is {}?|Which company runs {}?",
    "responsible nurse|Who cares for {} on the ward?|Which nurse looks after {}?|Who gives {} the "
    "medicine?|Who is on duty for {}?",
    "diagnosis|What is wrong with {}?|What illness does {} have?|From what does {} suffer?|What did the "
    "doctors find in {}?",
    "case number|Under what file is {} kept?|What docket number does {} have?|How is the matter of {} "
    "registered?|Which reference does the court use for {}?",
    "judge|Who decides the case {}?|Before whom is {} heard?|Who presides over {}?|Which magistrate "
    "handles {}?",
    "abbreviation|What is {} called for short?|Which letters stand for {}?|What is the acronym of "
    "{}?|How do you shorten {}?",
    "meaning|What does {} mean?|What is the sense of {}?|How do you explain the word {}?|What is to be "
    "understood by {}?",
    "synonym|What other word is there for {}?|How else can I say {}?|Which term means the same as "
    "{}?|With what can I replace {}?",
    "origin|Where does {} come from?|From which region does {} originate?|What are the roots of "
    "{}?|Where did {} begin?",
    "predecessor|Who or what came before {}?|Whom did {} replace?|What preceded {}?|Who held the post "
    "before {}?",
    "successor|Who or what came after {}?|Who followed {}?|By whom was {} replaced?|Who takes over from "
    "{}?",
    "previous name|What was {} called earlier?|Under which name was {} known before?|What did people use "
    "to call {}?|How was {} named in the past?",
    "purpose|What is {} for?|What is {} used for?|Why do we need {}?|What does {} do?",
    "location of the key|Where is the key to {} kept?|Who has the key of {}?|Where do I find the key for "
    "{}?|In which drawer is the key to {}?",
    "alarm code|How do I switch off the alarm of {}?|What digits disarm {}?|Which code stops the siren "
    "at {}?|What do I type in to silence {}?",
    "gender|Is {} a man or a woman?|Which pronoun fits {}?|How does {} identify?|What is the sex of {}?",
    "famous work|What is {} famous for?|What is the best known work of {}?|Which title made {} "
    "famous?|What should I read or see by {}?",
    "influence|Who inspired {}?|By whom was {} shaped?|Which teachers left a mark on {}?|What moved {} "
    "to begin?",
    "political party|Which party does {} belong to?|For whom does {} stand in elections?|Is {} left or "
    "right?|What is the political home of {}?",
    "military rank|What is {} in the army?|Which rank does {} hold?|How are soldiers to address {}?|What "
    "stripes does {} wear?",
    "lucky number|Which number does {} believe in?|What digit brings {} luck?|On what number does {} "
    "bet?|Which figure does {} love?",
    "signature dish|What is {} famous for cooking?|Which plate must I try at {}?|What do guests order "
    "most at {}?|What is the speciality of {}?",
    "opening year|In which year did {} open its doors?|How old is the building {}?|When was {} "
    "inaugurated?|When was {} completed?",
    "number of branches|How many shops does {} run?|How many offices does {} have?|In how many places is "
    "{} present?|How many outlets belong to {}?",
};

// What people teach most often, apart: evals leave these out, so that what they ask for is new to the gate.
constexpr const char* kCommonRelations[] = {
    "support phone number|How do I call customer service of {}?|Where do I get help from {} by "
    "phone?|What do I dial for the hotline of {}?|Which extension has the support desk of {}?",
    "chief executive|Who leads {}?|Who is the CEO of {}?|Who is the head of {}?|Who directs the business "
    "of {}?",
    "headquarters|In which city is {} headquartered?|Where are the main offices of {}?|Where does {} "
    "have its seat?|In what place is {} located?",
    "number of employees|What is the headcount of {}?|How many staff does {} employ?|How many workers "
    "does {} have?|How big is the team of {}?",
    "founding year|In which year was {} founded?|How old is the company {}?|When was {} set up?|When did "
    "{} begin?",
    "ticker symbol|What is the stock symbol of {}?|Under what code are shares of {} traded?|How do I "
    "find {} on the stock exchange?|Which abbreviation has the stock of {}?",
    "price|What does {} cost?|How much is {}?|How much money do I need to buy {}?|For how much is {} sold?",
    "colour|What colour is {}?|In which colours can I get {}?|How is {} painted?|Is {} green or yellow?",
    "storage place|Where is {} kept?|On which shelf is {}?|Where in the store is {}?|In which aisle or "
    "rack do I look for {}?",
    "weight|How much does {} weigh?|What is the mass of {}?|How many grams has {}?|Is {} heavy or light?",
    "warranty|How many years of guarantee come with {}?|Until when is {} under warranty?|How long do I "
    "have a guarantee on {}?|For what time is {} covered if it fails?",
    "country of manufacture|In which country is {} produced?|Where is {} manufactured?|From where is {} "
    "imported?|In what land is {} assembled?",
    "birthplace|In which city was {} born?|What is the native town of {}?|Where did {} first see the "
    "light of day?|From which place does {} hail?",
    "date of birth|In which year was {} born?|When is the birthday of {}?|What is the birth date of "
    "{}?|What age is {}?",
    "spouse|Who is the wife of {}?|Who is the husband of {}?|To whom is {} married?|With whom does {} "
    "share a marriage?",
    "employer|Where does {} work?|For which company does {} work?|Who employs {}?|Which organisation is "
    "{} with?",
    "favourite food|What food does {} prefer?|What is {} fond of eating?|Which dish does {} love?|What "
    "should I serve {} for dinner?",
    "phone number|What number do I call to speak to {}?|How can I phone {}?|Under which number is {} "
    "available?|What is the mobile of {}?",
    "opening hours|When does {} open?|At what time can I enter {}?|From when is {} open in the "
    "morning?|What are the business hours of {}?",
    "closing time|Until when is {} open?|When does {} shut in the evening?|How late can I stay in {}?|At "
    "what hour do the doors of {} close?",
    "entrance fee|What is the admission to {}?|How much is the entry to {}?|What does a ticket for {} "
    "cost?|What do visitors pay at {}?",
    "curator|Who curates {}?|Who is in charge of the exhibits of {}?|Who puts together the exhibitions "
    "of {}?|Who manages the collections of {}?",
    "street address|What is the address of {}?|In which street is {}?|How do I find the building of "
    "{}?|Where exactly does {} stand?",
    "architect|Who was the architect of {}?|Who planned the building {}?|By whom was {} designed?|Who "
    "made the plans for {}?",
    "closing day|On what weekday is {} closed?|When is {} not open?|What day is the rest day of {}?|On "
    "which day should I not go to {}?",
    "deadline|By when is {} to be completed?|What is the due date of {}?|Until when must {} be "
    "done?|When is the latest for {}?",
    "budget|How big is the budget of {}?|How much may {} cost?|What amount is available for {}?|How much "
    "money has {} got?",
    "project lead|Who is the head of the project {}?|Who is in charge of {}?|Who leads the work on "
    "{}?|Who is responsible for {}?",
    "programming language|In which language is {} programmed?|In what is {} coded?|What programming "
    "language does {} use?|Which language did the developers of {} choose?",
    "current version|What is the newest version of {}?|Which version of {} is out?|What is the latest "
    "release of {}?|At which version number is {}?",
    "licence|Which licence does {} have?|Under which licence is {} published?|What are the licence terms "
    "of {}?|May I use {} commercially?",
    "venue|Where is {} held?|In which hall is {}?|At what location does {} take place?|Which building "
    "hosts {}?",
    "start date|On which date does {} start?|When does {} start?|What is the first day of {}?|When is {}?",
    "number of attendees|How many visitors does {} have?|How many participants attend {}?|How many "
    "people take part in {}?|What is the attendance of {}?",
    "keynote speaker|Who speaks at {}?|Who holds the opening speech of {}?|Who is the main speaker at "
    "{}?|Who delivers the keynote of {}?",
    "registration fee|How much is the participation in {}?|What is the fee for {}?|What do participants "
    "pay for {}?|How much does it cost to attend {}?",
    "dress code|How should I dress for {}?|What do people wear at {}?|What outfit is right for {}?|Is {} "
    "formal or casual?",
    "distance from the centre|How far is {} from the centre?|How many kilometres is it to {}?|How long "
    "do I walk to {}?|What is the distance to {}?",
    "recommended dose|How much of {} should I take?|How many tablets of {} a day?|What amount of {} is "
    "prescribed?|How often is {} taken?",
    "warehouse|In which warehouse is {} stored?|Which depot holds {}?|From which store is {} "
    "shipped?|What warehouse keeps {}?",
    "contact person|Whom should I contact about {}?|Who is my contact at {}?|Whom do I ask about {}?|Who "
    "is the right person for {}?",
};

// Questions about a thing that ask for nothing in particular.
constexpr const char* kGeneric[] = {
    "What is {}?",
    "Who is {}?",
    "Tell me about {}.",
    "What can you say about {}?",
    "Why is {} famous?",
    "What do you think of {}?",
    "Describe {}.",
    "Give me a summary of {}.",
    "Do you know {}?",
    "What is interesting about {}?",
    "Is {} good?",
    "Why should I care about {}?",
    "How does {} work?",
    "What is the history of {}?",
    "What happened to {}?",
    "Can you help me with {}?",
    "I have a problem with {}.",
    "What are the advantages of {}?",
    "What is the latest news about {}?",
    "I like {}.",
    "What should I know about {}?",
    "Where can I read more about {}?",
    "How do I use {}?",
    "What is the best thing about {}?",
};

std::vector<std::string> parts_of(std::string_view line) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find('|', at), line.size());
    parts.emplace_back(line.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

}  // namespace

std::vector<Relation> relation_bank(const BankOptions& options) {
  std::vector<Relation> out;
  const auto add = [&out](std::string_view line) {
    auto parts = parts_of(line);
    Relation relation{std::move(parts.front()), {}};
    relation.wordings.assign(parts.begin() + 1, parts.end());
    out.push_back(std::move(relation));
  };
  for (const char* line : kRelations) add(line);
  if (options.with_common) {
    for (const char* line : kCommonRelations) add(line);
  }
  return out;
}

std::vector<std::string> generic_questions() {
  return {std::begin(kGeneric), std::end(kGeneric)};
}

std::string filled(std::string_view wording, std::string_view thing) {
  std::string out(wording);
  for (std::size_t at = out.find("{}"); at != std::string::npos; at = out.find("{}", at + thing.size()))
    out.replace(at, 2, thing);
  if (!out.empty() && out[0] >= 'a' && out[0] <= 'z') out[0] = static_cast<char>(out[0] - 'a' + 'A');
  return out;
}

}  // namespace pmt::knowledge_cache
