# Stands before worker.py and monty_worker.py when they are put into the binary (CMakeLists.txt).
class Context:
    """The texts that come in pieces; the last piece of a frame may go on in the next."""

    def __init__(self):
        self.texts, self.continues = [], False

    def take(self, pieces, continues):
        for piece in pieces:
            if self.continues:
                self.texts[-1].append(piece)
            else:
                self.texts.append([piece])
            self.continues = False
        self.continues = continues

    def whole(self, is_list):
        texts = ["".join(pieces) for pieces in self.texts]
        self.texts = []
        return texts if is_list else "".join(texts)


