"""What does a missing image cost if each sample has several images?"""
