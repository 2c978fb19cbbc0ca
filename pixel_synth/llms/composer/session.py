"""The session state machine: walks the agenda turn by turn, with alliance and openness as its state.

The client opens, the therapist has the last word.  A therapist turn is a reflection of what was just said and at most
one prompt (a question that belongs to the beat, a move, a step of the crisis protocol, or a bridge).  Whatever is
asked is answered in the next turn by a reply written for that question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from pixel_synth.draw import Draw
from pixel_synth.grammar import answers, find_cue
from pixel_synth.knowledge import Knowledge
from pixel_synth.knowledge.models import Attachment, Occupation, Trait
from pixel_synth.knowledge.pieces import Beat, Lead, Reply
from pixel_synth.llms.composer import echo
from pixel_synth.llms.composer.agenda import Item, build
from pixel_synth.llms.composer.manner import Manner, asides
from pixel_synth.llms.composer.voice import Voice, grammar, lower_first, tidy, upper_first
from pixel_synth.records import Blueprint, Role, TurnTag

R = TypeVar("R", bound=Reply)
_ACTS = {"engaged": "engage", "reluctant": "hesitate", "resistant": "resist", "any": "reply"}
RETELL = 8  # times a line is told anew when nothing that answers it fits
PACE = {"even": 0.6, "fast": 0.9, "slow": 0.2, "erratic": 0.45}


class Heard(NamedTuple):
    """What the therapist heard in a piece of talk, and the piece itself."""

    clause: str
    said: str


class Turn(NamedTuple):
    """One message with its tag and, for the therapist, what was heard."""

    role: Role
    text: str
    tag: TurnTag
    heard: str = ""


@dataclass
class State:
    """What changes in the room: how safe it is (alliance) and how much is told (openness), both 0–1."""

    alliance: float
    openness: float

    def met(self) -> None:
        """The client was heard."""
        self.alliance = min(1.0, self.alliance + 0.07)
        self.openness = min(1.0, self.openness + 0.05 + 0.05 * self.alliance)

    def strained(self) -> None:
        """The client pushed back."""
        self.alliance = max(0.0, self.alliance - 0.15)


class Session:
    """Composes all turns of one blueprint."""

    def __init__(self, bp: Blueprint, knowledge: Knowledge) -> None:
        self.bp = bp
        self.items = build(bp, knowledge)
        self.voice = Voice(bp, knowledge)
        self.draw = Draw(bp.seed, "session")
        self.attachment = knowledge.get(Attachment, bp.persona.attachment)
        start = {"basic": 0.6, "intermediate": 0.45, "advanced": 0.3}[bp.difficulty]
        self.state = State(alliance=start, openness=PACE[self.attachment.pace])
        self.manner = Manner(knowledge.all(Trait), bp.persona.big_five)
        self.asides = asides(bp, knowledge)
        self.early = self._early_lines(knowledge.get(Occupation, bp.persona.occupation).says)
        self.turns: list[Turn] = []
        self.echoed: set[str] = set()

    def _early_lines(self, says: Sequence[str]) -> dict[int, list[str]]:
        """Decide in which of the first client turns the duration and the work are mentioned."""
        run = 0
        while run < min(3, len(self.items)) and self.items[run].client_led and self.items[run].kind != "risk":
            run += 1
        lines: dict[int, list[str]] = {}
        talks_much = self.bp.persona.big_five.extraversion == "high"
        for line in (self.voice.fresh(says, str), self.voice.symbol("duration_line")):
            at = 0 if run < 2 or (talks_much and self.draw.chance(0.5)) else self.draw.below(run)
            if run > 1 and lines.get(at):
                at = (at + 1) % run
            lines.setdefault(at, []).append(line)
        return lines

    # ------------------------------------------------------------------------------------ the walk

    def compose(self) -> list[Turn]:
        """Return all turns, client first, therapist last."""
        for i, item in enumerate(self.items):
            after = self.items[i + 1] if i + 1 < len(self.items) else None
            if item.client_led:
                self._beat(i, item, after)
            else:
                self._reply_to_lead(item, after)
        return self.turns

    def _beat(self, i: int, item: Item, after: Item | None) -> None:
        beat, said = self._choose(item.beats, item.cues)
        before, after_it, heard = [], [], [self._hear(beat, said)]
        for rider in item.riders:
            other, line = self._choose(rider.beats, rider.cues)
            if item.kind == "risk" or (item.follow and item.kind != "event"):  # what is asked about next is said last
                before.append(line)
            else:
                after_it.append(f"{self.voice.client(self.voice.symbol('link'))} {lower_first(line)}")
                heard.append(self._hear(other, line))
        if before:
            said = f"{self.voice.client(self.voice.symbol('link'))} {lower_first(said)}"
        text = self._styled([*before, said, *after_it], self.early.get(i, []), first=i == 0, plain=item.kind == "risk")
        self._client(text, item.phase, "disclose" if item.kind != "defense" else "defend")
        if not item.follow:
            self._therapist(heard, after, item.phase)
            return
        question = self._ask(beat, said)
        self._therapist(heard[:1], None, item.phase, ask=question)
        if item.hold_back:
            held = self._pick(self.attachment.reluctance)
            said = self._say(held)
            self._client(self._styled([said], []), item.phase, "hold_back")
            room = self.voice.therapist(self.voice.symbol("leave_open"))
            self._therapist([self._hear(held, said)], None, item.phase, ask=room, act="make_room")
        answer = self._pick(beat.then)
        said = self._say(answer)
        self._client(self._styled([said], [], plain=item.kind == "risk"), item.phase, "answer")
        self._therapist([self._hear(answer, said)], after, item.phase)

    def _reply_to_lead(self, item: Item, after: Item | None) -> None:
        lead = self._lead
        stance = self._stance()
        strained = item.rupture.says if item.rupture else ()
        reply = self._pick(strained or [r for r in lead.replies if r.stance in (stance, "any")] or lead.replies)
        safety = item.phase == "safety"
        text = self._say(reply)
        if safety and self.draw.chance(0.5):
            text = f"{self.voice.client(self.voice.symbol('stall_safe'))} {lower_first(text)}"
        self._client(
            tidy(text) if safety else self._styled([text], []),
            item.phase,
            "reply" if safety else "resist" if strained else _ACTS[reply.stance],
        )
        heard = [self._hear(reply, text)]
        if not item.rupture:
            self._therapist(heard, after, item.phase)
            return
        self.state.strained()
        repair = self.voice.therapist(self.voice.fresh(item.rupture.repairs, str))
        self._therapist(heard, None, item.phase, ask=repair, act="repair")
        mended = self.voice.fresh(item.rupture.mends, lambda r: r.say)
        self.state.alliance = min(1.0, self.state.alliance + 0.25)
        said = self._say(mended)
        self._client(self._styled([said], []), item.phase, "mend")
        self._therapist([self._hear(mended, said)], after, item.phase)

    def _stance(self) -> str:
        return "engaged" if self.draw.chance(0.35 + 0.65 * self.state.alliance) else "reluctant"

    # ------------------------------------------------------------------------------------- choosing

    def _fits(self, reply: Reply) -> bool:
        if reply.level not in ("any", self.bp.risk):
            return False
        if isinstance(reply, Beat):
            young = "young" if self.bp.persona.age < 18 else "adult"
            if reply.severity not in ("any", self.bp.severity) or reply.age not in ("any", young):
                return False
        openness = self.state.openness
        if self.attachment.pace == "erratic":
            openness = self.draw.below(100) / 100
        return not (reply.tone == "open" and openness < 0.35) and not (reply.tone == "guarded" and openness > 0.65)

    def _pick(self, replies: Sequence[R]) -> R:
        level = [r for r in replies if r.level in ("any", self.bp.risk)] or list(replies)
        return self.voice.fresh([r for r in level if self._fits(r)] or level, lambda r: r.say)

    def _choose(self, beats: Sequence[Beat], cues: tuple[str, ...]) -> tuple[Beat, str]:
        """Pick a beat that one of the cues can be found in; of three the one most like this person and nearest to what was said."""
        found: list[tuple[Beat, str]] = []
        for _ in range(8):
            beat = self._pick(beats)
            said = self._say(beat)
            if not cues or find_cue(cues, said):
                found.append((beat, said))
            if len(found) == 3:
                break
        before = " ".join(t.text for t in self.turns[-2:])
        best = max(found or [(beat, said)], key=lambda f: self.manner.fit(f[1]) + min(2, echo.shared(f[1], before)))
        for beat, _ in found:
            if beat is not best[0]:
                self.voice.used.discard(beat.say)
        return best

    def _say(self, reply: Reply) -> str:
        """Put a reply into the client's words, so that one of the lines that answer it fits the alternatives that were chosen."""
        said = self.voice.client(reply.say)
        for _ in range(RETELL):
            asked = not isinstance(reply, Beat) or any(answers(line, reply.say, said) for line in reply.ask)
            if asked and any(answers(line, reply.say, said) for line in reply.hear):
                break
            said = self.voice.client(reply.say)
        return said

    def _ask(self, beat: Beat, said: str) -> str:
        """Ask one of the beat's questions that fit what was said; mostly the one that stays closest to the client's words."""
        fitting = [line for line in beat.ask if answers(line, beat.say, said)] or beat.ask
        lines = [self.voice.therapist(line) for line in fitting]
        return max(lines, key=lambda line: echo.shared(line, said)) if self.draw.chance(0.7) else self.draw.pick(lines)

    def _hear(self, reply: Reply, said: str) -> Heard:
        """Put back what was heard, in a wording that fits; mostly in the one that stays closest to the client's."""
        fitting = [line for line in reply.hear if answers(line, reply.say, said)] or reply.hear
        lines = [tidy(self.voice.therapist(line)) for line in fitting]
        close = self.draw.chance(0.85)
        return Heard(max(lines, key=lambda line: echo.shared(line, said)) if close else self.draw.pick(lines), said)

    # -------------------------------------------------------------------------------------- saying

    def _styled(self, texts: list[str], early: list[str], *, first: bool = False, plain: bool = False) -> str:
        """Dress a disclosure in the client's way of talking (Big Five poles, attachment)."""
        traits = self.bp.persona.big_five
        talkative = {"low": 0.45, "mid": 1.0, "high": 1.5}[traits.extraversion]
        parts: list[str] = []
        if first and self.draw.chance(0.55 + 0.3 * (talkative > 0.5)):
            parts.append(self.voice.client(self.voice.symbol("arrive")))
        body = texts[0]
        if not plain and self.manner.poles and self.draw.chance(0.22):
            pole = self.draw.pick(self.manner.poles)
            body = f"{self.voice.client(self.voice.fresh(pole.openers, str))} {lower_first(body)}"
        elif not plain and self.draw.chance(0.3):
            body = f"{self.voice.symbol('stall')} {lower_first(body)}"
        parts.append(body)
        parts += [self.voice.client(line) for line in early]
        parts += texts[1:]
        if not plain:
            if self.manner.poles and self.draw.chance(0.16 * talkative):
                pole = self.draw.pick(self.manner.poles)
                parts.append(self.voice.client(self.voice.fresh(pole.asides, str)))
            elif self.asides and self.draw.chance(0.14 * talkative):
                parts.append(self.voice.client(self.voice.fresh(self.asides, str)))
            elif self.draw.chance(0.2):
                parts.append(self.voice.client(self.voice.fresh(self.attachment.asides, str)))
            elif self.draw.chance(0.14 * talkative):
                parts.append(self.voice.client(self.voice.symbol("hedge")))
        return tidy(" ".join(parts))

    def _client(self, text: str, phase: str, act: str) -> None:
        free = self.turns and not self.turns[-1].text.endswith("?")  # a question is answered, not echoed
        if free and phase != "safety" and act in ("disclose", "answer", "engage", "mend") and self.draw.chance(0.6):
            text = f"{self._take_up(self.turns[-1].heard)} {text}"
        self.turns.append(Turn("user", tidy(text), TurnTag(phase=phase, act=act)))

    def _therapist(self, heard: list[Heard], after: Item | None, phase: str, *, ask: str = "", act: str = "") -> None:
        """Reflect, then prompt: with the given question, or on the way to the next item."""
        self.state.met()
        move, closing = "", False
        if not ask:
            ask, act, move, closing = self._prompt(after)
        if len(heard) > 1 and self.draw.chance(0.5) and all(len(h.clause.split()) < 16 for h in heard):
            first, second = (lower_first(h.clause) for h in heard[-2:])
            frame = self.voice.therapist(self.voice.symbol("frame_two"), H1=upper_first(first), h2=second, h1=first)
        else:
            heard = sorted(heard, key=lambda h: echo.shared(h.clause, h.said))
            frame = self._frame(heard[-1], bool(ask), echoes="safety" not in (phase, act))
        aside = self._aside(act, bool(ask))
        text = tidy(f"{frame} {self.voice.therapist(self.voice.symbol(aside))} {ask}" if aside else f"{frame} {ask}")
        self.turns.append(
            Turn("assistant", text, TurnTag(phase="close" if closing else phase, act=act or "explore", move=move), heard[-1].clause)
        )

    def _frame(self, heard: Heard, asks: bool, echoes: bool) -> str:
        """Put a heard clause into a sentence, often beginning with the client's own words."""
        things, quotes = self._unsaid(echo.things(heard.said, own="my")), self._unsaid(echo.snippets(heard.said))
        clause = lower_first(heard.clause)
        words = {"h": clause, "H": upper_first(clause)}
        if echoes and things and self.draw.chance(0.6):
            thing = self.draw.pick(things)
            self.echoed.add(thing)
            return self.voice.therapist(self.draw.pick(grammar()["frame_thing"]), t=thing, T=upper_first(thing), **words)
        if echoes and quotes and self.draw.chance(0.7):
            quote = max(quotes, key=len)
            self.echoed.add(quote)
            return self.voice.therapist(self.draw.pick(grammar()["frame_quote"]), q=lower_first(quote), Q=upper_first(quote), **words)
        return self.voice.therapist(
            self.draw.pick(grammar()["frame_safe" if not echoes else "frame_then_ask" if asks else "frame"]), **words
        )

    def _take_up(self, heard: str) -> str:
        """Let the client take up a few of the therapist's words, or nothing when none stand alone."""
        things, quotes = self._unsaid(echo.things(heard, own="your")), self._unsaid(echo.snippets(heard))
        if things:
            thing = self.draw.pick(things)
            self.echoed.add(thing)
            return self.voice.client(self.voice.symbol("echo_thing"), t=thing, T=upper_first(thing))
        if quotes and not any(re.search(r"\byou", q) for q in quotes):
            quote = max(quotes, key=len)
            self.echoed.add(quote)
            return self.voice.client(self.voice.symbol("echo_quote"), q=lower_first(quote), Q=upper_first(quote))
        return ""

    def _unsaid(self, phrases: list[str]) -> list[str]:
        return [p for p in phrases if p not in self.echoed]

    def _aside(self, act: str, asks: bool) -> str:
        """Choose what else the therapist adds to a reflection, if anything: warmth, respect, or whether it fits."""
        last = self.turns[-1].tag.act
        if act == "safety":
            return "warm_safe" if self.draw.chance(0.35) else ""
        if act in ("make_room", "repair", "close"):
            return ""
        if last in ("engage", "mend") and self.draw.chance(0.35):
            return "affirm"
        if last in ("disclose", "answer"):
            if self.draw.chance(0.5):
                return "warm"
            if not asks and self.draw.chance(0.6):
                return "fits"
            if self.draw.chance(0.12):
                return "affirm"
        return ""

    def _prompt(self, after: Item | None) -> tuple[str, str, str, bool]:
        """Return (line, act, move id, closing) for what comes next."""
        if after is None:
            safe = self.bp.risk in ("moderate", "high")
            return self.voice.therapist(self.voice.symbol("final_safe" if safe else "final")), "close", "", True
        if after.client_led:
            if after.kind in ("criterion", "population", "person") and self.draw.chance(0.4):
                return self.voice.therapist(self.voice.symbol("bridge")), "explore", "", False
            return "", "reflect", "", False
        self._lead: Lead = self.voice.fresh(after.leads, lambda x: x.say[0])
        line = self.voice.therapist(self.voice.fresh(self._lead.say, str))
        if after.preface:
            named = self.voice.fresh(after.preface, lambda x: x.say[0]).say
            line = f"{self.voice.therapist(self.voice.fresh(named, str))} {line}"
        if after.kind == "feature":  # questions of an instrument or interview are no move of the modality
            return line, "explore", "", False
        return line, "safety" if after.phase == "safety" else "intervene", after.id, False
