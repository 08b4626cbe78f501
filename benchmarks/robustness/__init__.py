"""What becomes of damaged, odd and meaningless input?"""
